/* clip_official.c — CLIP's weights under the names that others gave them. */
#include "nn/clip.h"

/* a transformer's blocks: openai's nn.MultiheadAttention packs q, k and v into one tensor, whose
 * name is not a layer's */
#define OPENAI_BLOCKS(ours, official)                                                          \
    {ours ".norm1", official ".ln_1", 0, 0}, {ours ".norm2", official ".ln_2", 0, 0},          \
    {ours ".attn.qkv.w", official ".attn.in_proj_weight", 0, 0},                               \
    {ours ".attn.qkv.b", official ".attn.in_proj_bias", 0, 0},                                 \
    {ours ".attn.out", official ".attn.out_proj", 0, 0},                                       \
    {ours ".mlp.fc1", official ".mlp.c_fc", 0, 0}, {ours ".mlp.fc2", official ".mlp.c_proj", 0, 0}

static const OfficialName openai[] = {
    {"image.patch", "visual.conv1", 0, 0},
    {"image.class_token", "visual.class_embedding", 0, 0},
    {"image.positions", "visual.positional_embedding", 0, 0},
    {"image.norm_pre", "visual.ln_pre", 0, 0},
    OPENAI_BLOCKS("image.block.%d", "visual.transformer.resblocks.%d"),
    {"image.norm_post", "visual.ln_post", 0, 0},
    {"image.proj", "visual.proj", 0, 0},
    {"text.tokens", "token_embedding", 0, 0},
    {"text.positions", "positional_embedding", 0, 0},
    OPENAI_BLOCKS("text.block.%d", "transformer.resblocks.%d"),
    {"text.norm", "ln_final", 0, 0},
    {"text.proj", "text_projection", 0, 0},
    {0}};

/* the released files hold three settings beside the weights */
static const char *const settings[] = {"input_resolution", "context_length", "vocab_size", NULL};

const OfficialMap clip_openai = {.rows = openai, .ignored = settings};

#define HUGGINGFACE "text_model.encoder.layers.%d"

static const OfficialName huggingface[] = {
    {"text.tokens", "text_model.embeddings.token_embedding", 0, 0},
    {"text.positions", "text_model.embeddings.position_embedding.weight", 0, 0},
    {"text.block.%d.norm1", HUGGINGFACE ".layer_norm1", 0, 0},
    {"text.block.%d.norm2", HUGGINGFACE ".layer_norm2", 0, 0},
    {"text.block.%d.attn.qkv", HUGGINGFACE ".self_attn.*_proj", 0, 0},
    {"text.block.%d.attn.out", HUGGINGFACE ".self_attn.out_proj", 0, 0},
    {"text.block.%d.mlp.fc1", HUGGINGFACE ".mlp.fc1", 0, 0},
    {"text.block.%d.mlp.fc2", HUGGINGFACE ".mlp.fc2", 0, 0},
    {"text.norm", "text_model.final_layer_norm", 0, 0},
    {0}};

/* 0, 1, ... */
static const char *const positions[] = {"text_model.embeddings.position_ids", NULL};

const OfficialMap clip_text_huggingface = {.rows = huggingface, .ignored = positions};
