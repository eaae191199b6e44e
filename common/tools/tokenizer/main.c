/* tokenizer — trains byte-pair encodings, and shows what they make of a text. */
#include "base/file.h"
#include "base/memory.h"
#include "data/emoji.h"
#include "data/wardrobe.h"
#include "text/bpe.h"
#include "train/program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const char *merges, *vocabulary, *text, *ids, *captions, *style, *out;
    int count;
    double dropout;
    uint64_t seed;
    bool symbols;
} o = {.merges = BPE_CAPTIONS, .style = "clip", .out = "build/captions.bpe", .count = 1000,
       .seed = 1};

static Option options[] = {
    {"merges", 'm', .s = &o.merges, .meta = "FILE", .only = "encode decode info",
     .help = "the encoding: ours, bpe_simple_vocab_16e6.txt[.gz] or vocab.bpe"},
    {"vocabulary", 'v', .s = &o.vocabulary, .meta = "FILE", .only = "encode decode info",
     .help = "GPT-2's encoder.json, beside vocab.bpe"},
    {"text", 't', .s = &o.text, .meta = "TEXT", .only = "encode",
     .help = "what to encode (default: each line of standard input)"},
    {"symbols", 0, .b = &o.symbols, .only = "encode", .help = "print symbols, not ids"},
    {"dropout", 0, .d = &o.dropout, .min = 0, .max = 1, .meta = "P", .only = "encode",
     .help = "BPE dropout: pass over a merge with this probability"},
    {"ids", 'i', .s = &o.ids, .meta = "LIST", .only = "decode",
     .help = "what to decode, \"320 560\" (default: each line of standard input)"},
    {"captions", 0, .s = &o.captions, .meta = "FILE", .only = "train",
     .help = "lines to train on (default: training captions of the wardrobe and the emoji)"},
    {"count", 'n', .i = &o.count, .min = 0, .max = 1e6, .meta = "N", .only = "train",
     .help = "merges, if so many pairs occur twice"},
    {"style", 0, .s = &o.style, .choices = "clip|gpt2", .only = "train",
     .help = "clip: lower case, words that end in </w>; gpt2: every byte as it is"},
    {"seed", 's', .u = &o.seed, .meta = "N", .help = "of the dropout, and of scenes to train on"},
    {"out", 'o', .s = &o.out, .meta = "FILE", .only = "train", .help = "where the merges go"},
    {0}};

static int train(void), encode(void), decode(void), info(void);
static const Command commands[] = {
    {"train", "learn merges from captions, write them to --out", train},
    {"encode", "print the ids of a text", encode},
    {"decode", "print the text of ids", decode},
    {"info", "print the size of an encoding", info},
    {0}};

static Cli cli = {.program = "tokenizer",
                  .about = "Byte-pair encodings: text to numbers, and back.",
                  .options = options,
                  .commands = commands};

static Bpe load(void) {
    if (o.vocabulary) return bpe_load_gpt2(o.merges, o.vocabulary);
    return bpe_load(cli_given(&cli, "merges") ? o.merges : NULL);    /* NULL: wherever it is called */
}

/* ---- encode, decode -------------------------------------------------------------------------- */

static void print_encoded(const Bpe *b, const char *text, size_t length) {
    Rng rng = rng_new(o.seed, "bpe dropout");
    BpeDropout dropout = {o.dropout, &rng}, *drop = o.dropout > 0 ? &dropout : NULL;
    int n = bpe_encode(b, text, length, drop, NULL, 0);
    int *ids = memory_new((size_t)n, sizeof *ids, "%d ids", n);
    rng = rng_new(o.seed, "bpe dropout");                    /* the same once more */
    bpe_encode(b, text, length, drop, ids, n);
    for (int i = 0; i < n; i++) {
        char *symbol = o.symbols ? bpe_symbol(b, ids[i]) : NULL;
        if (symbol) printf("%s%s", i ? " " : "", symbol);
        else printf("%s%d", i ? " " : "", ids[i]);
        free(symbol);
    }
    printf("\n");
    free(ids);
}

/* text: numbers with spaces between */
static void print_decoded(const Bpe *b, const char *text, int line) {
    size_t most = strlen(text) / 2 + 1;
    int *ids = memory_new(most, sizeof *ids, "%zu ids", most), n = 0;
    for (char *end; text[strspn(text, " \t\r\n")]; text = end, n++) {
        errno = 0;
        long id = strtol(text, &end, 10);
        if (end == text || errno || id < 0 || id >= b->size || !strchr(" \t\r\n", *end)) {
            fail("line %d: \"%.20s\" does not start with an id; there are 0 to %d", line,
                 text + strspn(text, " \t"), b->size - 1);
        }
        ids[n] = (int)id;
    }
    size_t length;
    char *decoded = bpe_decode(b, ids, n, &length);
    fwrite(decoded, 1, length, stdout);
    printf("\n");
    free(decoded);
    free(ids);
}

/* each line of standard input, or the text on the command line */
static void each_line(const Bpe *b, bool encode, const char *given) {
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    if (given && encode) print_encoded(b, given, strlen(given));
    else if (given) print_decoded(b, given, 1);
    for (int number = 1; !given && (n = getline(&line, &room, stdin)) >= 0; number++) {
        if (n && line[n - 1] == '\n') line[--n] = 0;
        if (encode) print_encoded(b, line, (size_t)n);
        else print_decoded(b, line, number);
    }
    free(line);
}

static int encode(void) {
    Bpe b = load();
    each_line(&b, true, o.text);
    bpe_free(&b);
    return 0;
}

static int decode(void) {
    Bpe b = load();
    each_line(&b, false, o.ids);
    bpe_free(&b);
    return 0;
}

/* ---- train ----------------------------------------------------------------------------------- */

/* Texts to train on; `memory` holds those that are ours. */
typedef struct {
    const char **text;
    int count;
    size_t room;
    char *memory;
} Texts;

static void add(Texts *t, const char *text) {
    size_t n = (size_t)t->count + 1;
    t->text = memory_grow(t->text, &t->room, n, sizeof *t->text, "%zu captions", n);
    t->text[t->count++] = text;
}

static void lines_of(Texts *t, const char *path) {
    size_t n;
    const uint8_t *bytes = file_map(path, &n);
    t->memory = memory_new(n + 1, 1, "%s", path);
    for (size_t i = 0; i < n; i++) t->memory[i] = bytes[i] ? (char)bytes[i] : ' ';
    t->memory[n] = 0;
    file_unmap(bytes, n);
    for (char *line = strtok(t->memory, "\n"); line; line = strtok(NULL, "\n")) add(t, line);
}

static Bpe train_on(const Texts *t) {
    return bpe_train(strcmp(o.style, "clip") ? BPE_GPT2 : BPE_CLIP, t->count, t->text, o.count);
}

/* Training captions alone: what is held out and what is tested with must not shape the merges. */
static Bpe train_on_sets(Texts *t) {
    enum { SCENES = 20000, ROOM = 200 };
    _Static_assert((int)ROOM >= (int)EMOJI_CAPTION && (int)ROOM >= (int)SCENE_CAPTION, "too small");
    Captioned emoji = emoji_load(32, NULL);
    Fashion fashion = fashion_load(NULL);
    Wardrobe w = wardrobe_open(&fashion, 64);
    size_t captions = SCENES + (size_t)emoji.train.count;
    char *to = t->memory = memory_new(captions, ROOM, "%zu captions", captions);
    for (int i = 0; i < emoji.train.count; i++, to += ROOM) add(t, emoji_caption(&emoji, i, to));
    for (int i = 0; i < SCENES; i++, to += ROOM) {
        Scene s = wardrobe_scene(&w, PART_TRAIN, o.seed, (uint64_t)i);
        add(t, scene_caption(&s, to));
    }
    Bpe b = train_on(t);
    wardrobe_free(&w);
    fashion_free(&fashion);
    captioned_free(&emoji);
    return b;
}

static int train(void) {
    Texts t = {0};
    if (o.captions) lines_of(&t, o.captions);
    Bpe b = o.captions ? train_on(&t) : train_on_sets(&t);
    if (b.merges < o.count) {
        printf("only %d pairs of symbols occur twice in %d captions\n", b.merges, t.count);
    }
    bpe_save(&b, o.out);
    printf("%s: %d merges from %d captions, a vocabulary of %d\n", o.out, b.merges, t.count,
           b.size);
    bpe_free(&b);
    free(t.text);
    free(t.memory);
    return 0;
}

/* ---- main ------------------------------------------------------------------------------------ */

static int info(void) {
    Bpe b = load();
    printf("%s's style, %d merges, ids 0 to %d", b.style == BPE_CLIP ? "CLIP" : "GPT-2", b.merges,
           b.size - 1);
    if (b.start >= 0) printf(", start of text %d", b.start);
    if (b.end >= 0) printf(", end of text %d", b.end);
    printf("\n");
    bpe_free(&b);
    return 0;
}

int main(int argc, char **argv) {
    return program_main(&cli, argc, argv);
}
