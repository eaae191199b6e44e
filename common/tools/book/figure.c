#include "figure.h"
#include "base/file.h"
#include "text.h"

#include <glob.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the command in a picture ------------------------------------------------------------------ */

static uint32_t big_endian(const uint8_t *b) {
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* PNG's text of the key "parameters" (io/picture.h); NULL: the picture has none */
static char *parameters(const uint8_t *png, size_t size) {
    static const char key[] = "tEXtparameters";          /* its 0 ends PNG's keyword, too */
    for (size_t at = 8; at + 12 <= size; at += 12 + (size_t)big_endian(png + at)) {
        size_t n = big_endian(png + at);
        if (n > size - at - 12) break;
        if (n + 4 < sizeof key || memcmp(png + at + 4, key, sizeof key)) continue;
        return text_format("%.*s", (int)(n + 4 - sizeof key), (const char *)png + at + 4 + sizeof key);
    }
    return NULL;
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "build/vae sample -q --out x -n 8" as "build/vae sample -n 8" */
static char *command_for_readers(char *line) {
    Text t = {0};
    char *save = NULL, *word = strtok_r(line, " ", &save);
    if (word) text_put(&t, "%s", word);
    while ((word = strtok_r(NULL, " ", &save))) {
        bool has_value = !strcmp(word, "--out") || !strcmp(word, "--threads");
        if (has_value) strtok_r(NULL, " ", &save);
        else if (strcmp(word, "-q")) text_put(&t, " %s", word);
    }
    return t.text;
}

/* ---- the command of a plot --------------------------------------------------------------------- */

static bool matches(const char *pattern) {
    glob_t files;
    bool found = !glob(pattern, 0, NULL, &files);
    if (found) globfree(&files);
    return found;
}

/* "plots/vae/loss.png": make plot-vae */
static char *plot_command(const char *path) {
    if (!strcmp(path, "plots/story.png")) return text_format("make story");
    if (!strcmp(path, "plots/scale/scale.png")) return text_format("make scale");
    if (!starts_with(path, "plots/")) return NULL;
    const char *name = path + strlen("plots/");
    char *folder = text_format("%.*s", (int)strcspn(name, "/"), name);
    char *chapter = text_format("chapters/%s/plot.gp", folder), *tool = text_format("common/*/%s/plot.gp", folder);
    char *command = matches(chapter) || matches(tool) ? text_format("make plot-%s", folder) : NULL;
    free(folder), free(chapter), free(tool);
    return command;
}

char *figure_command(const char *path) {
    size_t size;
    const uint8_t *png = file_map(path, &size);
    char *line = parameters(png, size), *command = line ? command_for_readers(line) : plot_command(path);
    file_unmap(png, size);
    free(line);
    return command;
}

char *figure_film(const char *path) {
    if (!ends_with(path, "/progress.png")) return NULL;
    char *film = text_format("%.*sfilm.png", (int)(last_part(path) - path), path);
    if (access(film, R_OK) == 0) return film;
    free(film);
    return NULL;
}
