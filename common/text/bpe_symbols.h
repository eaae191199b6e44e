/* bpe_symbols.h — the parts of a Bpe, for bpe*.c alone. */
#ifndef BPE_SYMBOLS_H
#define BPE_SYMBOLS_H

#include "text/bpe.h"

#define END_OF_WORD "</w>"

enum { BPE_FILE_MOST = 64 << 20, BPE_SYMBOL_MOST = 1000 };     /* bytes */

struct Symbol {
    const char *bytes;
    size_t length;
    bool ends;                   /* a word: it stands as bytes + "</w>" in files */
    bool special;                /* <|endoftext|>: nothing is encoded as it by merges */
    int id;
};

struct Pair {
    int left, right;             /* left -1: an empty place */
    int merge;                   /* its number, best first */
};

/* The style's 256 or 512 symbols, and room for so many merges whose symbols have so many bytes. */
Bpe bpe_new(BpeStyle style, int merges, size_t bytes);
/* the symbol with this text; -1: there is none */
int bpe_find(const Bpe *b, const char *bytes, size_t length, bool ends);
int bpe_add_symbol(Bpe *b, const char *bytes, size_t length, bool ends);   /* or the one there is */
/* The next merge. False: there is this merge already. */
bool bpe_add_merge(Bpe *b, int left, int right);
int bpe_find_merge(const Bpe *b, int left, int right);   /* its number; -1: there is none */
/* Gives all symbols their ids, in the official order. empty_line: CLIP's code takes an empty line
 * at the end of the merges for one more, whose id nothing is encoded as. */
void bpe_finish(Bpe *b, bool empty_line);

/* GPT-2's alphabet, in which files spell bytes: those that can be seen as themselves, the others as
 * U+0100 and on. */
int32_t bpe_letter(int byte);
int bpe_byte(int32_t letter);    /* -1: none of them */
int bpe_nth_byte(int n);         /* 0..255: the bytes in the order of their ids */
void bpe_spell(const Symbol *s, Buffer *out);
/* What is spelled so, as at most BPE_SYMBOL_MOST bytes in `out`; false: it is no symbol. */
bool bpe_read_symbol(BpeStyle style, Word w, char *out, size_t *length, bool *ends);

#endif
