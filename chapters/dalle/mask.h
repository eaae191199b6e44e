/* mask.h — what each place of the stream sees: Ramesh et al. 2021, appendix B.1 and figure 11.
 *
 * The stream is `before` places (text, and the start of the image), then the codes of a picture,
 * row after row. Every place sees itself and what is before it, with one exception: in three of the
 * four kinds of attention a code sees, of the other codes, only
 *   - ROW           those before it down to the one above it
 *   - COLUMN        those above it in its column
 *   - CONVOLUTION   those in a square around it, kernel codes wide. The square lies in the stream,
 *                   as the paper has it: what leaves a row at its side comes in at the other, one
 *                   row below or above
 * What stands before the codes is always seen. */
#ifndef MASK_H
#define MASK_H

#include <stdbool.h>
#include <stdint.h>

typedef enum { ATTEND_ALL, ATTEND_ROW, ATTEND_COLUMN, ATTEND_CONVOLUTION, ATTENDS } AttentionKind;

/* Which blocks have which kind. PATTERN_PAPER, of blocks 1 to depth: the last has the convolution,
 * the others rows, but columns where (block - 2) mod 4 = 0. The others, in the order of
 * AttentionKind: all blocks are alike. */
typedef enum {
    PATTERN_FULL, PATTERN_ROW, PATTERN_COLUMN, PATTERN_CONVOLUTION, PATTERN_PAPER
} AttentionPattern;

/* block: 0 .. depth-1 */
AttentionKind attention_kind(AttentionPattern p, int block, int depth);

typedef struct {
    int before, columns, kernel;
} StreamShape;

/* May place i attend to place j? The definition. */
bool attends(AttentionKind kind, StreamShape s, int i, int j);
/* the same for all of (length,length): 1 = may */
void attention_mask(AttentionKind kind, StreamShape s, int length, uint8_t *mask);

#endif
