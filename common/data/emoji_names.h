/* emoji_names.h — Unicode's emoji-test.txt: which emoji there are, what they are called, and what
 * they show.
 *
 * Kept are the fully-qualified ones, in the file's order, with their names as they stand there.
 *
 * Interface:
 *   - emoji_names_parse   checks text in memory, prints nothing; an error leaves nothing allocated
 *   - emoji_concept       what an emoji shows, without skin tone, hair, gender or direction
 *   - emoji_held_out      is it one of the combinations that are kept out of training? */
#ifndef EMOJI_NAMES_H
#define EMOJI_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EMOJI_CODES = 16, EMOJI_LABELS = 256, EMOJI_MESSAGE = 200, EMOJI_CONCEPT = 8 * EMOJI_CODES };

typedef struct {
    uint32_t code[EMOJI_CODES];  /* code points */
    int codes;
    const char *name;            /* "woman astronaut: medium skin tone" */
    int subgroup;                /* "person-role" */
} EmojiName;

typedef struct {
    EmojiName *emoji;
    int count, groups, subgroups;
    const char *group[EMOJI_LABELS], *subgroup[EMOJI_LABELS];     /* their names */
    int group_of[EMOJI_LABELS];  /* a subgroup's group */
    char *text;                  /* owned; all names are in it */
} EmojiNames;

bool emoji_names_parse(EmojiNames *names, const char *text, size_t length,
                       char message[static EMOJI_MESSAGE]);
void emoji_names_free(EmojiNames *names);

/* Pictures of one concept may differ in skin tone, hair, gender and direction alone: "1F9D1-1F680"
 * for each of the 18 astronauts. Couples and families are all one concept. */
const char *emoji_concept(const EmojiNames *names, int k, char text[static EMOJI_CONCEPT]);

/* Combinations of gender, role and skin tone that no training picture shows, while training shows
 * each two of a triple's parts together, and both parts of a pair. */
extern const char *const emoji_held_out_triples[];    /* "woman pilot: dark skin tone"; NULL ends */
extern const char *const emoji_held_out_pairs[];      /* "woman judge": in all skin tones */
bool emoji_held_out(const char *name);

#endif
