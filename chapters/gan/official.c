/* official.c — DCGAN64's parameters under the names of pytorch/examples, where both networks are
 * lists whose layers are numbered together with their activations. */
#include "gan.h"

static const OfficialName generator_names[] = {
    {"up.%d", "main.%d", 3, 0}, {"norm.%d", "main.%d", 3, 1}, {0}};

static const OfficialName discriminator_names[] = {
    {"down.0", "main.0", 0, 0}, {"down.%d", "main.%d", 3, -1}, {"norm.%d", "main.%d", 3, 0}, {0}};

const OfficialMap generator_official = {.rows = generator_names};
const OfficialMap discriminator_official = {.rows = discriminator_names};
