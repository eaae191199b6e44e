#include "nn/unet_official.h"

#include <stdio.h>
#include <string.h>

/* ---- parts of a block ------------------------------------------------------------------------ */

typedef const char *const Names[2];              /* ours, official */

static const char *find(Names *names, size_t n, const char *ours) {
    for (size_t i = 0; i < n; i++)
        if (!strcmp(ours, names[i][0])) return names[i][1];
    return NULL;
}
#define FIND(names, ours) find(names, sizeof names / sizeof *names, ours)

static Names part[] = {
    {"norm1", "in_layers.0"}, {"conv1", "in_layers.2"}, {"emb_proj", "emb_layers.1"},
    {"norm2", "out_layers.0"}, {"conv2", "out_layers.3"}, {"skip", "skip_connection"},
    {"norm", "norm"}, {"qkv", "qkv"}, {"context_kv", "encoder_kv"}, {"out", "proj_out"},
    {"proj_in", "proj_in"}, {"proj_out", "proj_out"}};

/* of a spatial transformer's block */
static Names transformer_part[] = {
    {"norm1", "norm1"}, {"attn.qkv", "attn1.to_*"}, {"attn.out", "attn1.to_out.0"},
    {"norm_cross", "norm2"}, {"cross.q", "attn2.to_q"}, {"cross.k", "attn2.to_k"},
    {"cross.v", "attn2.to_v"}, {"cross.out", "attn2.to_out.0"},
    {"norm2", "norm3"}, {"mlp.fc1", "ff.net.0.proj"}, {"mlp.fc2", "ff.net.2"}};

static int heads_at(const UNetConfig *c, int level) {
    return c->head_channels ? c->width * c->multiplier[level] / c->head_channels : c->heads;
}

/* `ours`, what stands after the block's name, within the official `list`, of a block at a level */
static bool place_part(const UNetOfficial *u, const char *list, int level, const char *ours,
                       OfficialPlace *at) {
    char sub[32] = "";
    int i, n = 0;
    const char *official;
    if (sscanf(ours, "block.%d.%n", &i, &n) == 1 && n) {
        official = FIND(transformer_part, ours + n);
        snprintf(sub, sizeof sub, "transformer_blocks.%d.", i);
    } else official = FIND(part, ours);
    if (!official) return false;
    bool qkv = !strcmp(ours, "qkv"), kv = !strcmp(ours, "context_kv");
    if ((qkv || kv) && !u->qkv_first) at->heads = heads_at(&u->config, level);
    at->parts = kv ? 2 : 3;
    return snprintf(at->layer, sizeof at->layer, "%s.%s%s", list, sub, official) > 0;
}

/* ---- where a block stands -------------------------------------------------------------------- */

/* What ours begins with: a block, the attention after it, or what comes between levels. The rest of
 * the name is at `rest`, empty for a convolution between levels. */
typedef struct {
    enum { BLOCK, ATTENTION, BETWEEN } what;
    int level, i;
    const char *rest;
} Position;

static bool read_position(const char *ours, const char *way, const char *between, Position *p) {
    char format[64];
    int n = 0;
    *p = (Position){.what = BLOCK};
    snprintf(format, sizeof format, "%s.%%d.block.%%d.%%n", way);
    if (sscanf(ours, format, &p->level, &p->i, &n) != 2 || !n) {
        p->what = ATTENTION;
        snprintf(format, sizeof format, "%s.%%d.attention.%%d.%%n", way);
        if (sscanf(ours, format, &p->level, &p->i, &n) != 2 || !n) {
            p->what = BETWEEN;
            snprintf(format, sizeof format, "%s.%%d.%s%%n", way, between);
            if (sscanf(ours, format, &p->level, &n) != 1 || !n) return false;
            n += ours[n] == '.';
        }
    }
    p->rest = ours + n;
    return true;
}

static bool locate_down(const UNetOfficial *u, const char *ours, OfficialPlace *at) {
    Position p;
    char list[48];
    if (!read_position(ours, "down", "downsample", &p)) return false;
    int i = p.what == BETWEEN ? u->config.blocks : p.i;
    snprintf(list, sizeof list, "input_blocks.%d.%d", 1 + p.level * (u->config.blocks + 1) + i,
             p.what == ATTENTION);
    if (*p.rest) return place_part(u, list, p.level, p.rest, at);
    return snprintf(at->layer, sizeof at->layer, "%s.op", list) > 0;
}

static bool locate_up(const UNetOfficial *u, const char *ours, OfficialPlace *at) {
    const UNetConfig *c = &u->config;
    Position p;
    char list[48];
    if (!read_position(ours, "up", "upsample", &p)) return false;
    int i = p.what == BETWEEN ? c->blocks : p.i;
    int place = p.what == BETWEEN ? 1 + c->attends[p.level] : p.what == ATTENTION;
    snprintf(list, sizeof list, "output_blocks.%d.%d",
             (c->levels - 1 - p.level) * (c->blocks + 1) + i, place);
    if (*p.rest) return place_part(u, list, p.level, p.rest, at);
    return snprintf(at->layer, sizeof at->layer, "%s.conv", list) > 0;
}

static bool locate_middle(const UNetOfficial *u, const char *ours, OfficialPlace *at) {
    static const char attention[] = "middle.attention.";
    int i = 0, n = 0, last = u->config.levels - 1;
    char list[48];
    if (sscanf(ours, "middle.block.%d.%n", &i, &n) == 1 && n) {
        snprintf(list, sizeof list, "middle_block.%d", u->config.plain_middle ? i : 2 * i);
        return place_part(u, list, last, ours + n, at);
    }
    if (strncmp(ours, attention, sizeof attention - 1)) return false;
    return place_part(u, "middle_block.1", last, ours + sizeof attention - 1, at);
}

/* what stands outside of the levels */
static Names outside[] = {
    {"time.0", "time_embed.0"}, {"time.1", "time_embed.2"}, {"in", "input_blocks.0.0"},
    {"norm_out", "out.0"}, {"out", "out.2"},
    {"pool.qkv", "out.2.qkv_proj"}, {"pool.out", "out.2.c_proj"}};

bool unet_official(const void *design, const char *ours, OfficialPlace *at) {
    const UNetOfficial *u = design;
    const char *name = FIND(outside, ours);
    if (name) return snprintf(at->layer, sizeof at->layer, "%s", name) > 0;
    return locate_down(u, ours, at) || locate_middle(u, ours, at) || locate_up(u, ours, at);
}

/* ---- the transformers beside it -------------------------------------------------------------- */

static Names resblock_part[] = {
    {"norm1", "ln_1"}, {"attn.qkv", "attn.c_qkv"}, {"attn.out", "attn.c_proj"},
    {"norm2", "ln_2"}, {"mlp.fc1", "mlp.c_fc"}, {"mlp.fc2", "mlp.c_proj"}};

bool resblocks_official(const char *prefix, int heads, const char *ours, OfficialPlace *at) {
    size_t length = strlen(prefix);
    int i, n = 0;
    if (strncmp(ours, prefix, length) || sscanf(ours + length, "%d.%n", &i, &n) != 1 || !n)
        return false;
    const char *rest = ours + length + n, *name = FIND(resblock_part, rest);
    if (!name) return false;
    if (!strcmp(rest, "attn.qkv")) at->heads = heads, at->parts = 3;
    return snprintf(at->layer, sizeof at->layer, "transformer.resblocks.%d.%s", i, name) > 0;
}
