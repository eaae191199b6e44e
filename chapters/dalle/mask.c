#include "mask.h"

AttentionKind attention_kind(AttentionPattern p, int block, int depth) {
    if (p != PATTERN_PAPER) return (AttentionKind)p;
    if (block == depth - 1) return ATTEND_CONVOLUTION;
    return block % 4 == 1 ? ATTEND_COLUMN : ATTEND_ROW;
}

/* Two codes are `distance` = rows * columns + shift apart in the stream: for some rows and shift
 * inside of the kernel? */
static bool in_kernel(int distance, int columns, int kernel) {
    int reach = kernel / 2;
    for (int rows = 0; rows <= reach; rows++) {
        int shift = distance - rows * columns;
        if (-reach <= shift && shift <= reach) return true;
    }
    return false;
}

bool attends(AttentionKind kind, StreamShape s, int i, int j) {
    if (j > i) return false;
    if (j < s.before) return true;
    int distance = i - j;
    switch (kind) {
    case ATTEND_ROW: return distance <= s.columns;
    case ATTEND_COLUMN: return distance % s.columns == 0;
    case ATTEND_CONVOLUTION: return in_kernel(distance, s.columns, s.kernel);
    default: return true;
    }
}

void attention_mask(AttentionKind kind, StreamShape s, int length, uint8_t *mask) {
    for (int i = 0; i < length; i++)
        for (int j = 0; j < length; j++) mask[i * length + j] = attends(kind, s, i, j);
}
