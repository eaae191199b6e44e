#include "conv.h"

ConvPhase conv_phase(int r0, int size, int kernel, int stride, int pad) {
    int first = (r0 + pad) % stride, shift = (r0 + pad) / stride;
    int taps = kernel > first ? (kernel - first + stride - 1) / stride : 0;
    return (ConvPhase){(size - r0 + stride - 1) / stride, taps, first, shift};
}
