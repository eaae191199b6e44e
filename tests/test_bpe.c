/* test_bpe.c — byte-pair encoding: the official tokenizers' ids, round trips, dropout, training,
 * files that are broken. */
#include "testing.h"

#include "golden/bpe_cases.h"
#include "stops.h"
#include "text/html.h"
#include "text/utf8.h"

#include <time.h>
#include <zlib.h>

SUITE(bpe);

static Bpe parsed(BpeStyle style, const char *merges) {
    char message[BPE_MESSAGE];
    Bpe b;
    cr_assert(bpe_parse(&b, style, merges, strlen(merges), message), "%s", message);
    return b;
}

static Bpe golden_bpe(const char *path) {
    cJSON *json = bpe_cases_read(path);
    Buffer merges = bpe_cases_merges(json);
    Bpe b = parsed(strstr(path, "clip") ? BPE_CLIP : BPE_GPT2, buffer_end(&merges));
    free(merges.text);
    cJSON_Delete(json);
    return b;
}

/* ---- the official tokenizers ----------------------------------------------------------------- */

/* every id, and the text decoded from it, equal? */
Test(bpe, golden_ids_are_equal) {
    int compared;
    cr_assert_eq(bpe_cases_differ("tests/golden/bpe_clip.json", &compared), 0);
    cr_assert_geq(compared, 20);
    cr_assert_eq(bpe_cases_differ("tests/golden/bpe_gpt2.json", &compared), 0);
    cr_assert_geq(compared, 20);
}

/* what the golden strings do not hold, worked out by the official patterns: are words cut there? */
Test(bpe, words_are_cut_as_the_patterns_say) {
    static const struct {
        BpeStyle style;
        const char *text, *words;
    } cases[] = {
        {BPE_CLIP, "It's 42!", "it|'s|4|2|!"},
        {BPE_CLIP, "\x1D a\x1C" "b \x1E", "a|\x1C|b"},
        {BPE_CLIP, "\xCE\xA3\xCE\x9F\xCE\xA3 \xCE\xA3", "\xCF\x83\xCE\xBF\xCF\x82|\xCF\x83"},
        {BPE_CLIP, "A\xCE\xA3'\xCE\xA3", "a\xCF\x83|'|\xCF\x82"},
        {BPE_CLIP, "\xC4\x80\xC4\x81", "\xC4\x81\xC4\x81"},
        {BPE_CLIP, "\xE4\xB8\xAD\xCE\xA3", "\xE4\xB8\xAD\xCF\x83"},
        {BPE_CLIP, "x '\xC5\xBFt", "x|'\xC5\xBF|t"},
        {BPE_CLIP, "&amp;amp;lt;", "&|lt|;"},
        {BPE_CLIP, "!<|endoftext|>", "!<||endoftext||>"},
        {BPE_CLIP, "<|EndOfText|> a", "<|endoftext|>|a"},
        {BPE_CLIP, "a\xFF\xC3", "a|\xFF\xC3"},
        {BPE_GPT2, "a  b \n c", "a| | b| \n| c"},
        {BPE_GPT2, "a\n\nb\t", "a|\n|\n|b|\t"},
        {BPE_GPT2, "I'll 'S a1\xC2\xB2  ", "I|'ll| '|S| a|1\xC2\xB2|  "},
        {BPE_GPT2, "\xE3\x80\x80" "a\xC2\xA0 b", "\xE3\x80\x80|a|\xC2\xA0| b"},
        {BPE_GPT2, "x \xFF", "x| \xFF"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Buffer clean = {0}, words = {0};
        if (cases[i].style == BPE_CLIP) text_clean(cases[i].text, strlen(cases[i].text), &clean);
        else buffer_add(&clean, cases[i].text, strlen(cases[i].text));
        size_t at = 0;
        for (Word w; word_next(cases[i].style, clean.text, clean.length, &at, &w); ) {
            if (words.length) buffer_add(&words, "|", 1);
            buffer_add(&words, w.text, w.length);
        }
        cr_expect_str_eq(buffer_end(&words), cases[i].words, "case %zu", i);
        free(clean.text), free(words.text);
    }
}

/* references as the HTML standard resolves them? */
Test(bpe, html_is_unescaped) {
    static const char *const cases[][2] = {
        {"&lt;b&gt; &amp;amp;", "<b> &amp;"}, {"&#65;&#x42;&#X43", "ABC"},
        {"&eacute;&Eacute", "\xC3\xA9\xC3\x89"}, {"&ltb &copycat", "<b \xC2\xA9" "cat"},
        {"&notin; &notit;", "\xE2\x88\x89 \xC2\xACit;"},
        {"&NotEqualTilde;", "\xE2\x89\x82\xCC\xB8"},
        {"&CounterClockwiseContourIntegral;", "\xE2\x88\xB3"},
        {"&#150;&#0;", "\xE2\x80\x93\xEF\xBF\xBD"},
        {"&#xD800;&#x110000;&#99999999999;", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"&#1;&#xFFFE;x", "x"}, {"& &; &#; &#x; &zzz; AT&T &", "& &; &#; &#x; &zzz; AT&T &"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Buffer out = {0};
        html_unescape(cases[i][0], strlen(cases[i][0]), &out);
        cr_expect_str_eq(buffer_end(&out), cases[i][1]);
        free(out.text);
    }
}

/* ---- round trips ----------------------------------------------------------------------------- */

/* up to `most` random characters, from one of several ranges at a time so that merges apply */
static void random_text(Rng *rng, int most, Buffer *out) {
    static const int32_t first[] = {'a', ' ', 0, 0xA0, 0x370, 0x3040, 0x1F300, 0x10000};
    static const int32_t last[] = {'z', '@', 0x7F, 0x24F, 0x5FF, 0x9FFF, 0x1FAFF, 0x10FFFF};
    int n = (int)rng_below(rng, (uint32_t)most + 1), range = 0;
    out->length = 0;
    for (int i = 0; i < n; i++) {
        if (!rng_below(rng, 4)) range = (int)rng_below(rng, 8);
        uint32_t width = (uint32_t)(last[range] - first[range] + 1);
        int32_t code = first[range] + (int32_t)rng_below(rng, width);
        buffer_add_code(out, code >= 0xD800 && code < 0xE000 ? 'x' : code);
    }
    buffer_end(out);
}

static void comes_back(const Bpe *b, const Buffer *text, const BpeDropout *dropout) {
    int ids[400];
    size_t length;
    int n = bpe_encode(b, text->text, text->length, dropout, ids, 400);
    cr_assert_leq(n, 400);
    char *decoded = bpe_decode(b, ids, n, &length);
    cr_assert(length == text->length && !memcmp(decoded, text->text, length), "%s", text->text);
    free(decoded);
}

/* does every one of 100,000 random texts come back, byte by byte? */
Test(bpe, random_texts_come_back) {
    Bpe b = golden_bpe("tests/golden/bpe_gpt2.json");
    Rng rng = rng_new(1, "texts");
    Buffer text = {0};
    for (int i = 0; i < 100000; i++) {
        random_text(&rng, 40, &text);
        comes_back(&b, &text, NULL);
    }
    free(text.text);
    bpe_free(&b);
}

/* CLIP's style, which keeps neither case nor spaces: does decoding give the words of the cleaned
 * text, each with a space behind it? */
Test(bpe, random_texts_come_back_as_words) {
    Bpe b = golden_bpe("tests/golden/bpe_clip.json");
    Rng rng = rng_new(2, "texts");
    Buffer text = {0}, clean = {0}, words = {0};
    int ids[800];
    for (int i = 0; i < 100000; i++) {
        random_text(&rng, 40, &text);
        clean.length = words.length = 0;
        text_clean(text.text, text.length, &clean);
        size_t at = 0;
        for (Word w; word_next(BPE_CLIP, clean.text, clean.length, &at, &w); ) {
            buffer_add(&words, w.text, w.length);
            buffer_add(&words, " ", 1);
        }
        int n = bpe_encode(&b, text.text, text.length, NULL, ids, 800);
        char *decoded = bpe_decode(&b, ids, n, NULL);
        cr_assert_str_eq(decoded, buffer_end(&words));
        free(decoded);
    }
    free(text.text), free(clean.text), free(words.text);
    bpe_free(&b);
}

/* are bytes that are no UTF-8 encoded, and decoded as what Unicode wants in their place? */
Test(bpe, broken_utf8_is_replaced) {
    static const char *const cases[][2] = {
        {"a\xFF" "b", "a\xEF\xBF\xBD" "b"}, {"\xE2\x82", "\xEF\xBF\xBD"},
        {"\xE2\x82" "a", "\xEF\xBF\xBD" "a"}, {"\xC0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"}, {"\xF0\x9F\x98", "\xEF\xBF\xBD"},
        {"\xE0\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xF0\x80\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"}};
    Bpe b = golden_bpe("tests/golden/bpe_gpt2.json");
    int ids[16];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int n = bpe_encode(&b, cases[i][0], strlen(cases[i][0]), NULL, ids, 16);
        char *decoded = bpe_decode(&b, ids, n, NULL);
        cr_expect_str_eq(decoded, cases[i][1], "case %zu", i);
        free(decoded);
    }
    bpe_free(&b);
}

/* the definition of UTF-8, of every character and every pair of bytes? */
Test(bpe, utf8_is_what_it_should_be) {
    char bytes[4];
    size_t n;
    for (int32_t code = 0; code <= 0x10FFFF; code++) {
        if (code >= 0xD800 && code < 0xE000) continue;
        size_t length = utf8_put(code, bytes);
        cr_assert(utf8_get(bytes, length, &n) == code && n == length, "U+%04X", (unsigned)code);
        if (length > 1) cr_assert_eq(utf8_get(bytes, length - 1, &n), UTF8_BAD);
    }
}

/* ---- merging --------------------------------------------------------------------------------- */

static const char letters[] = "#version: 0.2\na b\nab c\na a\nb c</w>\nab c</w>\n";

/* the ids' symbols with a / between */
static char *spelled(const Bpe *b, const char *text, const BpeDropout *dropout) {
    static char line[400];
    int ids[100], n = bpe_encode(b, text, strlen(text), dropout, ids, 100);
    *line = 0;
    for (int i = 0; i < n; i++) {
        char *symbol = bpe_symbol(b, ids[i]);
        snprintf(line + strlen(line), sizeof line - strlen(line), "%s%s", i ? "/" : "", symbol);
        free(symbol);
    }
    return line;
}

/* the best merge first, all its occurrences from the left, before any that comes of it? */
Test(bpe, merges_apply_in_their_order) {
    Bpe b = parsed(BPE_CLIP, letters);
    cr_assert_str_eq(spelled(&b, "abc", NULL), "abc</w>");
    cr_assert_str_eq(spelled(&b, "abcabc x", NULL), "abc/abc</w>/x</w>");
    cr_assert_str_eq(spelled(&b, "aaaaa", NULL), "aa/aa/a</w>");
    cr_assert_str_eq(spelled(&b, "aabcb", NULL), "a/abc/b</w>");
    bpe_free(&b);
    b = parsed(BPE_GPT2, "b c\nbc d\na b\nbcd a\n");     /* "ab" is left when bcd has been made */
    cr_assert_str_eq(spelled(&b, "abcdabc", NULL), "a/bcda/bc");
    bpe_free(&b);
    /* "abc" comes of two merges: the later one's id is used, the earlier one's can be decoded */
    b = parsed(BPE_GPT2, "a b\nab c\nb c\na bc\n");
    int id;
    cr_assert_eq(bpe_encode(&b, "abc", 3, NULL, &id, 1), 1);
    cr_assert_eq(id, 256 + 3);
    cr_assert_str_eq(spelled(&b, "abc", NULL), "abc");
    char *text = bpe_decode(&b, (int[]){256 + 1}, 1, NULL);
    cr_assert_str_eq(text, "abc");
    free(text);
    bpe_free(&b);
}

/* a word of 100,000 letters in a moment? */
Test(bpe, long_words_take_no_time) {
    Bpe b = golden_bpe("tests/golden/bpe_clip.json");
    Buffer text = {0};
    for (int i = 0; i < 100000; i++) buffer_add(&text, "wordsneakr" + i * 7 % 10, 1);
    clock_t start = clock();
    int n = bpe_encode(&b, text.text, text.length, NULL, NULL, 0);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    cr_assert(n > 10000 && n < 100000);
    cr_assert_lt(seconds, 2);
    free(text.text);
    bpe_free(&b);
}

/* ---- dropout --------------------------------------------------------------------------------- */

/* With p = 1 bytes, with 0 nothing dropped, in between all spellings that the merges allow, each
 * decoded to the same text, the same for the same seed? One merge alone is passed over with p. */
Test(bpe, dropout_gives_other_spellings_of_the_same_text) {
    Bpe b = parsed(BPE_CLIP, letters), one = parsed(BPE_GPT2, "a b\n");
    Rng rng = rng_new(1, "dropout"), again = rng;
    cr_assert_str_eq(spelled(&b, "abcabc", &(BpeDropout){1, &rng}), "a/b/c/a/b/c</w>");
    cr_assert_str_eq(spelled(&b, "abcabc", &(BpeDropout){0, &rng}), "abc/abc</w>");
    rng = again;
    int whole = 0, seen[3] = {0};
    for (int i = 0; i < 20000; i++) {
        char first[400];
        strcpy(first, spelled(&b, "abc", &(BpeDropout){0.3, &rng}));
        cr_assert_str_eq(spelled(&b, "abc", &(BpeDropout){0.3, &again}), first);
        seen[0] += !strcmp(first, "ab/c</w>"), seen[1] += !strcmp(first, "a/bc</w>");
        seen[2] += !strcmp(first, "a/b/c</w>");
        whole += !strcmp(spelled(&one, "ab", &(BpeDropout){0.1, &rng}), "ab");
        again = rng;
    }
    cr_assert_float_eq(whole / 20000.0, 0.9, 0.01);
    /* (a b), then (ab c</w>) passed over: 0.7 0.3; (b c</w>) alone: 0.3 0.7; neither: 0.3 0.3 */
    cr_assert_float_eq(seen[0] / 20000.0, 0.21, 0.012);
    cr_assert_float_eq(seen[1] / 20000.0, 0.21, 0.012);
    cr_assert_float_eq(seen[2] / 20000.0, 0.09, 0.01);
    bpe_free(&b);
    bpe_free(&one);
    b = golden_bpe("tests/golden/bpe_gpt2.json");
    Buffer text = {0};
    for (int i = 0; i < 2000; i++) {
        random_text(&rng, 40, &text);
        comes_back(&b, &text, &(BpeDropout){0.1, &rng});
    }
    free(text.text);
    bpe_free(&b);
}

/* ---- contexts -------------------------------------------------------------------------------- */

static void tokens_are(const Bpe *b, const char *text, int context, int count,
                       const int *expected) {
    int ids[16];
    cr_assert_eq(bpe_tokenize(b, text, NULL, context, ids), count);
    for (int i = 0; i < context; i++) cr_assert_eq(ids[i], i < count ? expected[i] : 0);
}

/* start, text, end, zeros; the end stays when the text is cut? */
Test(bpe, a_context_keeps_its_end) {
    Bpe b = parsed(BPE_CLIP, letters);
    int c = b.byte[1]['c'], x = b.byte[1]['x'];
    cr_assert(b.start == 512 + 5 + 1 && b.end == b.start + 1 && b.size == b.end + 1);
    tokens_are(&b, "c x", 8, 4, (int[]){b.start, c, x, b.end});
    tokens_are(&b, "c x", 4, 4, (int[]){b.start, c, x, b.end});
    tokens_are(&b, "c x", 3, 3, (int[]){b.start, c, b.end});
    tokens_are(&b, "", 3, 2, (int[]){b.start, b.end});
    bpe_free(&b);
    b = parsed(BPE_GPT2, "a b\n");
    tokens_are(&b, "abab", 4, 3, (int[]){256, 256, b.end});
    cr_assert_eq(b.start, -1);
    bpe_free(&b);
}

/* ---- training -------------------------------------------------------------------------------- */

/* The example of Sennrich et al.'s algorithm 1, and what the file holds? */
Test(bpe, training_takes_the_most_frequent_pairs) {
    static const char *const texts[] = {"low low low low low lower lower newest newest newest",
                                        "newest newest newest widest widest widest"};
    Bpe b = bpe_train(BPE_CLIP, 2, texts, 10);
    bpe_save(&b, place("merges.bpe"));
    size_t n;
    const uint8_t *bytes = file_map(place("merges.bpe"), &n);
    const char *expected = "#version: 0.2\ne s\nes t</w>\nl o\ne w\nn ew\nnew est</w>\nlo w</w>\n";
    cr_assert(n > strlen(expected) && !memcmp(bytes, expected, strlen(expected)), "%.*s", (int)n,
              bytes);
    file_unmap(bytes, n);
    Bpe read = bpe_load(place("merges.bpe"));
    cr_assert(read.size == b.size && read.merges == b.merges && read.end == b.end);
    cr_assert_str_eq(spelled(&read, "newest", NULL), "newest</w>");
    bpe_free(&read);
    bpe_free(&b);
    b = bpe_train(BPE_CLIP, 1, (const char *const[]){"ab ab cd"}, 1000);
    cr_assert_eq(b.merges, 1, "a pair that occurs once is no merge");
    bpe_free(&b);
    b = bpe_train(BPE_CLIP, 0, NULL, 10);
    cr_assert_eq(b.merges, 0);
    bpe_free(&b);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void refused(BpeStyle style, const char *text, const char *part) {
    char message[BPE_MESSAGE] = "";
    Bpe b;
    cr_expect_not(bpe_parse(&b, style, text, strlen(text), message), "%s", text);
    cr_expect(strstr(message, part) && !strchr(message, '\n'), "%s: says %s", text, message);
}

/* is a broken list refused with the line? */
Test(bpe, broken_merges_are_refused) {
    refused(BPE_CLIP, "#version: 0.2\na b\nab\n", "line 3: a merge is two symbols");
    refused(BPE_CLIP, "#version: 0.2\na b\nab c d\n", "line 3: a merge is two symbols");
    refused(BPE_CLIP, "a b\n\nb c\n", "line 2: a merge is two symbols");
    refused(BPE_CLIP, "a b\n a\n", "line 2: a merge is two symbols");
    refused(BPE_CLIP, "a b\na \n", "line 2: a merge is two symbols");
    refused(BPE_CLIP, "a b\nbc d\n", "line 2: its first part is no byte");
    refused(BPE_CLIP, "a b\nd bc\n", "line 2: its second part is no byte");
    refused(BPE_CLIP, "a b\na</w> b\n", "line 2: its first part ends a word");
    refused(BPE_CLIP, "a b\nb c\r\na b\n", "line 3: this merge stands in an earlier");
    refused(BPE_CLIP, "a \xE2\x82\xAC\n", "line 1: its second part is not spelled");
    refused(BPE_CLIP, "a \xFF\n", "line 1: its second part is not spelled");
    refused(BPE_CLIP, "a\tb\n", "line 1: a merge is two symbols");
    refused(BPE_CLIP, "a b\n#version: 0.2\n", "line 2: its first part is no byte");
    refused(BPE_GPT2, "a b</w>\n", "line 1: its second part is no byte");
    Bpe b = parsed(BPE_CLIP, "");                   /* no merges at all: every byte for itself */
    cr_assert_eq(b.merges, 0);
    bpe_free(&b);
    b = parsed(BPE_GPT2, "\"x#version: 0.2\r\na b\r\nab c");
    cr_assert_eq(b.merges, 2);
    bpe_free(&b);
}

static void load(void *path) {
    bpe_load(path);
}

static void load_vocabulary(void *path) {
    bpe_load_gpt2(place("good.bpe"), path);
}

static void put(const char *name, const char *text) {
    file_write(place(name), text, strlen(text));
}

/* does the program end with one line that names the file and what is wrong? */
Test(bpe, broken_files_end_the_program) {
    put("bad.bpe", "#version: 0.2\na b\nc\n");
    expect_stop(1, "bad.bpe: line 3: a merge", load, (void *)place("bad.bpe"));
    expect_stop(1, "none.bpe", load, (void *)place("none.bpe"));
    put("cut.gz", "\x1F\x8B\x08\x00\x00\x00\x00\x00\x00\x03K");
    expect_stop(1, "cut.gz: cannot be read", load, (void *)place("cut.gz"));
    put("good.bpe", "a b\n");
    put("bad.json", "{\"a\": 1");
    expect_stop(1, "bad.json: is no JSON object", load_vocabulary, (void *)place("bad.json"));
    put("bad.json", "[1]");
    expect_stop(1, "bad.json: is no JSON object", load_vocabulary, (void *)place("bad.json"));
    put("bad.json", "{\"a\": 0, \"b\": 2}");
    expect_stop(1, "bad.json: the id of \"b\" is no", load_vocabulary, (void *)place("bad.json"));
    put("bad.json", "{\"a\": 0, \"b\": 0.5}");
    expect_stop(1, "bad.json: the id of \"b\" is no", load_vocabulary, (void *)place("bad.json"));
    put("bad.json", "{\"a\": 0, \"b\": 0}");
    expect_stop(1, "bad.json: the id 0 is given twice", load_vocabulary,
                (void *)place("bad.json"));
    put("bad.json", "{\"a\": 0, \"b\": 1}");
    expect_stop(1, "bad.json: has no id for", load_vocabulary, (void *)place("bad.json"));
}

/* the ids of encoder.json, in another order than ours and with names that no merge makes? */
Test(bpe, a_vocabulary_gives_the_ids) {
    Bpe b = parsed(BPE_GPT2, "a b\n");
    Buffer json = {0};
    char entry[64], message[BPE_MESSAGE];
    for (int id = 0; id < 257; id++) {
        char *symbol = bpe_symbol(&b, id), *escaped = symbol;
        if (!strcmp(symbol, "\"")) escaped = "\\\"";
        else if (!strcmp(symbol, "\\")) escaped = "\\\\";
        int n = snprintf(entry, sizeof entry, "%s\"%s\": %d", id ? ", " : "{", escaped, 258 - id);
        buffer_add(&json, entry, (size_t)n);
        free(symbol);
    }
    const char *rest = ", \"<|endoftext|>\": 0, \"<mask>\": 1}";
    buffer_add(&json, rest, strlen(rest));
    cr_assert(bpe_vocabulary(&b, json.text, json.length, message), "%s", message);
    int ids[4];
    cr_assert(b.size == 259 && b.end == 0);
    cr_assert_eq(bpe_encode(&b, "aab", 3, NULL, ids, 4), 2);
    cr_assert_eq(ids[1], 258 - 256);
    char *text = bpe_decode(&b, (int[]){ids[0], ids[1], 1, 0}, 4, NULL);
    cr_assert_str_eq(text, "aab<mask><|endoftext|>");
    free(text);
    free(json.text);
    bpe_free(&b);
}

/* a gzipped file, and no more merges than the official code reads? */
Test(bpe, a_gzipped_file_is_read) {
    gzFile f = gzopen(place("merges.txt.gz"), "wb");
    gzputs(f, "\"bpe_simple_vocab_16e6.txt#version: 0.2\na b\nab c</w>\n");
    gzclose(f);
    Bpe b = bpe_load(place("merges.txt.gz"));
    cr_assert(b.style == BPE_CLIP && b.merges == 2);
    bpe_free(&b);
}

/* CLIP's own file has 262,144 merges, of which the official code reads 48,894: ids up to 49,407? */
Test(bpe, of_clips_file_so_many_are_read) {
    Buffer many = {0};
    char line[16], message[BPE_MESSAGE];
    for (int i = 0; i < BPE_CLIP_MERGES; i++) {              /* "A B", then "AB C" */
        int x = 33 + i % 94, y = 33 + i / 94 % 94, z = 33 + (i / 94 / 94 - 1) % 94;
        int n = i < 94 * 94 ? snprintf(line, sizeof line, "%c %c\n", x, y)
                            : snprintf(line, sizeof line, "%c%c %c\n", x, y, z);
        buffer_add(&many, line, (size_t)n);
    }
    buffer_add(&many, "not read\n", 9);
    Bpe b;
    cr_assert(bpe_parse(&b, BPE_CLIP, many.text, many.length, message), "%s", message);
    cr_assert(b.merges == BPE_CLIP_MERGES && b.size == 49408);
    cr_assert(b.start == 49406 && b.end == 49407);
    bpe_free(&b);
    free(many.text);
}

/* As CLIP reads a text in Stable Diffusion: filled up with the token that ends it. */
Test(bpe, a_text_can_be_filled_up_with_its_end) {
    int ids[77], same[77];
    Bpe bpe = bpe_load(NULL);
    int n = bpe_tokenize_filled(&bpe, "a red dress", 77, ids);
    cr_expect_eq(bpe_tokenize(&bpe, "a red dress", NULL, 77, same), n);
    cr_expect(ids[0] == bpe.start && n > 3 && n < 13, "%d", n);
    for (int i = 0; i < 77; i++) cr_expect_eq(ids[i], i < n ? same[i] : bpe.end, "%d", i);
    bpe_free(&bpe);
}
