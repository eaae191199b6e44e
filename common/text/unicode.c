#include "text/unicode.h"

#include "text/unicode_tables.h"

/* the last range that begins at or before the code; NULL: there is none */
#define FIND(ranges, code) find_range((ranges)[0], sizeof *(ranges) / sizeof(int32_t),          \
                                      sizeof(ranges) / sizeof *(ranges), code)

static const int32_t *find_range(const int32_t *ranges, int width, int count, int32_t code) {
    int low = 0, high = count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (ranges[middle * width] <= code) low = middle + 1;
        else high = middle;
    }
    return low ? ranges + (low - 1) * width : 0;
}

static bool inside(const int32_t *range, int32_t code) {
    return range && code <= range[1];
}

bool unicode_is_letter(int32_t code) { return inside(FIND(letters, code), code); }
bool unicode_is_number(int32_t code) { return inside(FIND(numbers, code), code); }
bool unicode_is_space(int32_t code) { return inside(FIND(spaces, code), code); }
bool unicode_is_cased(int32_t code) { return inside(FIND(cased, code), code); }
bool unicode_is_case_ignorable(int32_t code) { return inside(FIND(case_ignorable, code), code); }

int32_t unicode_lower(int32_t code) {
    const int32_t *r = FIND(lower, code);
    return inside(r, code) && (code - r[0]) % r[2] == 0 ? code + r[3] : code;
}
