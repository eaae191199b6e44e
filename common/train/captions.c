#include "train/captions.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/printable.h"

#include <stdlib.h>

static const char *const examples[] = {
    "an orange coat above a blue bag", "a red dress", "a green sneaker to the left of a pink bag",
    "a pair of purple trousers", "a brown boot", "a turquoise shirt above a brown sandal",
    "red apple", "smiling face"};
enum { EXAMPLES = sizeof examples / sizeof *examples };

const char **prompted_captions(Arena *arena, const CliList *prompts, int n) {
    const char **captions = arena_get(arena, (size_t)n * sizeof *captions);
    for (int i = 0; i < n; i++)
        captions[i] = prompts->count ? prompts->text[i % prompts->count] : examples[i % EXAMPLES];
    return captions;
}

void say_tokens(const Cli *cli, const Bpe *b, const CliList *prompts, int most, int ends) {
    int *ids = memory_new((size_t)most, sizeof *ids, "%d tokens", most);
    uint8_t *mask = memory_new((size_t)most, 1, "%d tokens", most);
    for (int i = 0; i < prompts->count; i++) {
        int n = bpe_tokenize_masked(b, prompts->text[i], most, ids, mask) + ends;
        if (n > most)
            fprintf(stderr, "\"%s\": %d tokens, of which the network reads %d; the rest is cut\n",
                    prompts->text[i], n, most);
        else if (!cli->common->quiet)
            printf("\"%s\": %d token%s\n", prompts->text[i], n, n == 1 ? "" : "s");
    }
    free(ids), free(mask);
}

void captions_save(const Cli *cli, int n, const char *const *captions) {
    char *path = output_path(cli, "captions.txt");
    AtomicFile f = file_create(path);
    for (int i = 0; i < n; i++) {
        char *line = text_format("%s", captions[i]);
        make_printable(line, ' ');
        fprintf(f.stream, "%s\n", line);
        free(line);
    }
    file_commit(&f);
    free(path);
}
