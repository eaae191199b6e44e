/* fuzz_emoji_names.c — hostile text as emoji-test.txt: refused with one line, or every emoji has a
 * name, labels that exist, and a concept. */
#include "fuzz.h"
#include "data/emoji_names.h"

#include <stdlib.h>
#include <string.h>

static void one(const uint8_t *bytes, size_t length) {
    char message[EMOJI_MESSAGE] = "", concept[EMOJI_CONCEPT];
    EmojiNames n;
    if (!emoji_names_parse(&n, (const char *)bytes, length, message)) {
        if (!*message || strchr(message, '\n')) abort();
        return;
    }
    for (int i = 0; i < n.count; i++) {
        const EmojiName *e = &n.emoji[i];
        if (!*e->name || e->codes < 1 || e->codes > EMOJI_CODES) abort();
        if (e->subgroup >= n.subgroups || n.group_of[e->subgroup] >= n.groups) abort();
        if (!*n.subgroup[e->subgroup] || !*n.group[n.group_of[e->subgroup]]) abort();
        if (strlen(emoji_concept(&n, i, concept)) >= EMOJI_CONCEPT) abort();
        emoji_held_out(e->name);
    }
    emoji_names_free(&n);
}

/* The first input is a small sound list. */
static size_t mutate(uint8_t *bytes, size_t length, size_t room, unsigned seed) {
    static const char start[] = "# group: A\n# subgroup: b\n"
                                "1F469 200D 1F680 ; fully-qualified # x E4.0 woman astronaut\n";
    (void)seed;
    if (length >= 10 || room < sizeof start) return LLVMFuzzerMutate(bytes, length, room);
    memcpy(bytes, start, sizeof start - 1);
    return sizeof start - 1;
}

const Fuzzer fuzz_emoji_names = {"emoji_names", one, mutate};
