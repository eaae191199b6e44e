/* bpe_cases.h — golden files of the official tokenizers, {"merges": [...], "vocabulary": n,
 * "cases": [{"text", "ids", "decoded"}, ...]}: do we give the same ids, and the same text back?
 * Included once in a program. */
#ifndef BPE_CASES_H
#define BPE_CASES_H

#include "base/file.h"
#include "text/bpe.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cJSON ends a string at \u0000, so that stands as a character of private use while it parses. */
#define ZERO_MARK "\xEF\xA3\xBF"                     /* U+F8FF */

static inline cJSON *bpe_cases_read(const char *path) {
    size_t n;
    const uint8_t *bytes = file_map(path, &n);
    char *text = calloc(n + 1, 1);
    memcpy(text, bytes, n);
    for (char *at = text; (at = strstr(at, "\\u0000")); at += 6) memcpy(at, "\\uF8FF", 6);
    cJSON *json = cJSON_Parse(text);
    free(text);
    file_unmap(bytes, n);
    return json;
}

/* the string's bytes, to be freed */
static inline char *bpe_cases_text(const cJSON *string, size_t *length) {
    const char *from = cJSON_GetStringValue(string);
    char *text = calloc(strlen(from) + 1, 1);
    *length = 0;
    for (; *from; from++) {
        bool zero = !strncmp(from, ZERO_MARK, 3);
        text[(*length)++] = zero ? 0 : *from;
        from += zero ? 2 : 0;
    }
    return text;
}

/* The merges as the official file: a head, a line each. */
static inline Buffer bpe_cases_merges(const cJSON *json) {
    Buffer text = {0};
    const cJSON *merge;
    buffer_add(&text, "#version: 0.2\n", 14);
    cJSON_ArrayForEach(merge, cJSON_GetObjectItem(json, "merges")) {
        buffer_add(&text, merge->valuestring, strlen(merge->valuestring));
        buffer_add(&text, "\n", 1);
    }
    return text;
}

static inline bool bpe_case_agrees(const Bpe *b, const cJSON *c) {
    size_t length, decoded_length, expected_length;
    char *text = bpe_cases_text(cJSON_GetObjectItem(c, "text"), &length);
    int n = bpe_encode(b, text, length, NULL, NULL, 0), i = 0;
    int *ids = calloc((size_t)n + 1, sizeof *ids);
    bpe_encode(b, text, length, NULL, ids, n);
    bool good = n == cJSON_GetArraySize(cJSON_GetObjectItem(c, "ids"));
    const cJSON *id;
    cJSON_ArrayForEach(id, cJSON_GetObjectItem(c, "ids")) good = good && ids[i++] == id->valueint;
    char *expected = bpe_cases_text(cJSON_GetObjectItem(c, "decoded"), &expected_length);
    char *decoded = bpe_decode(b, ids, n, &decoded_length);
    good = good && decoded_length == expected_length && !memcmp(decoded, expected, expected_length);
    if (!good) fprintf(stderr, "differs: \"%s\", decoded \"%s\"\n", text, decoded);
    free(text), free(ids), free(expected), free(decoded);
    return good;
}

/* How many cases differ, named on stderr; -1: the file cannot be used. `compared`: of how many. */
static inline int bpe_cases_differ(const char *path, int *compared) {
    cJSON *json = bpe_cases_read(path);
    const cJSON *c, *cases = cJSON_GetObjectItem(json, "cases");
    char message[BPE_MESSAGE] = "no golden file of a tokenizer";
    Buffer merges = bpe_cases_merges(json);
    bool clip = strstr(buffer_end(&merges), "</w>") != NULL;
    Bpe b;
    int differ = -1;
    *compared = cJSON_GetArraySize(cases);
    if (cases && bpe_parse(&b, clip ? BPE_CLIP : BPE_GPT2, merges.text, merges.length, message)) {
        differ = b.size != cJSON_GetObjectItem(json, "vocabulary")->valueint;
        if (differ) fprintf(stderr, "%s: a vocabulary of %d\n", path, b.size);
        cJSON_ArrayForEach(c, cases) differ += !bpe_case_agrees(&b, c);
        bpe_free(&b);
    } else {
        fprintf(stderr, "%s: %s\n", path, message);
    }
    free(merges.text);
    cJSON_Delete(json);
    return differ;
}

#endif
