/* bpe.h — byte-pair encoding (Sennrich, Haddow & Birch 2016): text to numbers, and back.
 *
 * A word starts as its bytes. Merges say, best first, which two neighbours become one symbol; when
 * none applies, each symbol's number is an id. Every byte is a symbol, so nothing is unknown.
 *
 * Two styles, those of the official files:
 *   - BPE_CLIP   text is cleaned and lower-cased (words.h); a word's last symbol ends in "</w>".
 *                Ids: 256 bytes, 256 bytes that end a word, one a merge, one for the empty line
 *                that ends the file (the official code counts it; nothing is encoded as it),
 *                <|startoftext|>, <|endoftext|>. Decoding puts a space behind each word.
 *   - BPE_GPT2   text is taken as it is, so that decoding gives it back, byte by byte; a space
 *                belongs to the word after it. Ids: 256 bytes, one a merge, <|endoftext|>, or what
 *                encoder.json says.
 *
 * Interface:
 *   - bpe_load, bpe_load_gpt2   from files: bpe_simple_vocab_16e6.txt[.gz], vocab.bpe, ours
 *   - bpe_parse, bpe_vocabulary the same from memory, printing nothing
 *   - bpe_train, bpe_save       from captions, to a file that bpe_load reads
 *   - bpe_encode, bpe_decode    text to ids, ids to text
 *   - bpe_tokenize              a caption as CLIP wants it: start, ids, end, filled up
 *   - bpe_tokenize_filled       the same, filled up with ends
 *   - bpe_tokenize_masked       as GLIDE wants it: ids, filled up, and where they end
 *
 * After it was made a Bpe is only read: any number of threads may use it. */
#ifndef BPE_H
#define BPE_H

#include "kernels/kernels.h"
#include "text/words.h"

/* ours, trained on the captions of the wardrobe and the emoji */
#define BPE_CAPTIONS "notebooks-data/tokenizer/captions.bpe"

enum { BPE_MESSAGE = 200,
       BPE_CLIP_MERGES = 49152 - 256 - 2 };     /* CLIP reads so many of its file's 262,144 */

typedef struct Symbol Symbol;
typedef struct Pair Pair;

typedef struct {
    BpeStyle style;
    int merges, size;            /* ids are 0..size-1 */
    int start, end;              /* ids of <|startoftext|> and <|endoftext|>; -1: there is none */
    /* private */
    Symbol *symbol;              /* bytes, products of merges, specials; a string stands once */
    int symbols;
    int *symbol_of;              /* (size): what an id stands for */
    int *merge;                  /* (merges,3): left, right, product */
    int byte[2][256];            /* a byte's symbol; [1]: at the end of a word */
    Pair *pair;                  /* hash table from two symbols to their merge */
    uint32_t *table;             /* hash table from strings to symbols */
    uint32_t pair_mask, table_mask;
    char *memory;                /* the symbols' bytes */
    size_t used;
} Bpe;

/* NULL: BPE_CAPTIONS. Plain or gzipped; of CLIP's style if a symbol of it ends in "</w>". Fails
 * with one line that names the file and the line. */
Bpe bpe_load(const char *path);
Bpe bpe_load_gpt2(const char *merges, const char *vocabulary);   /* vocab.bpe, encoder.json */
void bpe_free(Bpe *b);

/* False: one line in `message`, and nothing is left allocated. A first line with "#version" is
 * passed over, as the official code does. */
bool bpe_parse(Bpe *b, BpeStyle style, const char *text, size_t length,
               char message[static BPE_MESSAGE]);
/* Takes over the ids of encoder.json, {"symbol": id, ...}, which must hold every symbol; further
 * ones can be decoded. On false the Bpe is freed. */
bool bpe_vocabulary(Bpe *b, const char *json, size_t length, char message[static BPE_MESSAGE]);

/* The `merges` most frequent pairs of the texts' words, one after the other, fewer if no pair is
 * left that occurs twice. Of equally frequent ones the one whose symbols came first. */
Bpe bpe_train(BpeStyle style, int count, const char *const *texts, int merges);
void bpe_save(const Bpe *b, const char *path);       /* merges, in the style's official form */

/* Provilkov et al. 2020: each time the best pair is looked for, each occurrence of a pair is passed
 * over with probability p, so that a model sees a word in many spellings. For training alone. */
typedef struct {
    double p;                    /* 0.1 in the paper; 0: none; 1: bytes */
    Rng *rng;
} BpeDropout;

/* Writes at most `room` ids and returns how many there are, which may be more. `dropout` NULL:
 * none. GPT-2's style knows no special symbols in a text, CLIP's does. */
int bpe_encode(const Bpe *b, const char *text, size_t length, const BpeDropout *dropout, int *ids,
               int room);
/* What the ids spell, ended by a zero byte, to be freed; *length (NULL: not wanted) is without it.
 * What is not UTF-8, such as half of a character, becomes U+FFFD. Dies if there is no such id. */
char *bpe_decode(const Bpe *b, const int *ids, int n, size_t *length);

/* The caption as `context` ids: start, those of the text, end, then zeros; a style without a start
 * begins with the text. A text that is too long is cut, and its end stays. Returns how many ids
 * come before the zeros. (CLIP's official tokenize, with truncate=True.) */
int bpe_tokenize(const Bpe *b, const char *text, const BpeDropout *dropout, int context, int *ids);
/* The same without dropout, filled up with the end's id instead of 0: what Stable Diffusion gives to
 * CLIP's text encoder */
int bpe_tokenize_filled(const Bpe *b, const char *text, int context, int *ids);

/* The lower-case caption's ids alone, without a start, filled up with the end's to `context`; mask
 * (context): 1 where the text is. An empty text is no ids at all. Returns how many ids the text
 * has: more than `context` if it was cut. (What GLIDE is given.) */
int bpe_tokenize_masked(const Bpe *b, const char *text, int context, int *ids, uint8_t *mask);

/* an id's own text, "sneaker</w>" or "\u0120red", to be freed: for tables and pictures */
char *bpe_symbol(const Bpe *b, int id);

#endif
