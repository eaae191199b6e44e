#include "nn/class_unet.h"

const OfficialName class_unet_official[] = {{"class", "label_emb", 0, 0}, UNET_OFFICIAL_ROWS, {0}};

TimeEmbedding unet_time_new(Params *p, const UNetConfig *c) {
    int emb = unet_emb(c);
    return time_embedding_new(scope(p, "time"), emb / 4, emb, false);
}

ClassUNet class_unet_new(Params *p, UNetConfig c, int classes) {
    ClassUNet m = {.time = unet_time_new(p, &c)};
    if (classes) m.class = embedding_new(scope(p, "class"), classes, unet_emb(&c));
    m.unet = unet_new(p, c);
    return m;
}

Tensor *class_unet(const ClassUNet *m, Tensor *xt, const double *time, const int *label) {
    Tape *tape = xt->tape;
    int B = xt->shape[0];
    Tensor *emb = time_embedding(&m->time, tape, time, B);
    if (m->class.table) emb = t_add(emb, embedding(&m->class, tape, label, B));
    return unet(&m->unet, xt, emb, NULL);
}
