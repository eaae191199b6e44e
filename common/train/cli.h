/* cli.h — the command line that all chapters share: PROGRAM train|sample|eval|info [options].
 *
 * A program lists its options in one table, the common ones first; parsing, checking, --help,
 * presets and what a checkpoint remembers all come from that table. A default is what a field holds
 * before parsing.
 *
 *     static struct { CommonOptions common; int hidden; } o = {
 *         .common = {.seed = 1, .steps = 3000, .batch = 128, .lr = 1e-3, .config = "default",
 *                    .out = "runs/ae"},
 *         .hidden = 500};
 *     static Option options[] = {
 *         COMMON_OPTIONS(o.common, "default|hinton2006"),
 *         {"hidden", 0, .i = &o.hidden, .min = 1, .max = 4096, .meta = "N", .keep = KEEP_MODEL,
 *          .help = "units of the hidden layer"},
 *         {0}};
 *     static const Preset presets[] = {{"hinton2006", "lr=0.1 batch=100 hidden=1000"}, {0}};
 *     static Cli cli = {.program = "ae", .about = "autoencoders", .options = options,
 *                       .presets = presets};
 *
 * Interface:
 *   - cli_parse       fills the fields; a command line that makes no sense ends the program with
 *                     one line and status 2, --help prints and ends it with status 0
 *   - cli_given       did the user write this option?
 *   - cli_applies     is it one of this command's?
 *   - cli_text        an option's value as text
 *   - cli_kept, cli_adopt, cli_before   what a checkpoint remembers, and taking it over
 *
 * Values come from, weakest first: the default, the preset of --config, a checkpoint, the command
 * line. */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stdint.h>

/* What a checkpoint remembers of an option, and what happens when the command line says otherwise */
typedef enum {
    KEEP_TRAINING,   /* saved; taken over by --resume; another value is an error: lr, batch, seed */
    KEEP_MODEL,      /* saved; the same for every command that reads weights: the network's sizes */
    KEEP_DEFAULT,    /* saved; taken over by --resume unless given: steps, data */
    KEEP_NOT,        /* belongs to this call alone: threads, out */
} Keep;

/* the values of an option that may be given several times, in their order */
typedef struct {
    int count;
    const char *text[64];
} CliList;

/* Exactly one of i, u, d, s, b, list is set; it gives the type. */
typedef struct {
    const char *name;         /* "steps" for --steps; NULL ends the table */
    char letter;              /* 'n' for -n; 0: none */
    int *i;
    uint64_t *u;              /* seeds */
    double *d;
    const char **s;           /* text; a path; or one of `choices` */
    bool *b;                  /* a flag: no value, sets true */
    CliList *list;            /* texts; always KEEP_NOT */
    double min, max;          /* inclusive range of a number; both 0: any */
    int multiple;             /* of which a whole number must be one; 0: any */
    const char *choices;      /* "adam|sgd" */
    const char *meta;         /* "N" in "--steps N"; not needed with choices */
    const char *help;
    /* Commands it means something to, "sample eval"; NULL: all. Options for different commands may
     * share a name or a letter; the first of a name is what a checkpoint remembers. */
    const char *only;
    Keep keep;
    bool given;               /* filled: the user wrote it */
} Option;

typedef struct {
    const char *name, *help;  /* NULL ends the table */
    int (*run)(void);         /* returns the exit status */
} Command;

/* the commands of every chapter, with the functions train, sample, eval, info */
#define TRAIN_AND_SAMPLE                                                                           \
    {"train", "train; log, checkpoint and samples are written to --out", train},                  \
    {"sample", "draw images with trained weights", sample}
#define STANDARD_COMMANDS                                                                          \
    TRAIN_AND_SAMPLE,                                                                              \
    {"eval", "compute the scores of trained weights", eval},                                      \
    {"info", "print all tensors and the number of parameters", info}

/* what --config NAME sets: "lr=0.1 batch=100", without spaces inside a value */
typedef struct {
    const char *config, *settings;
} Preset;

typedef struct {
    const char *program;      /* the chapter's name */
    const char *about;        /* one line under the usage */
    const Command *commands;  /* STANDARD_COMMANDS, {0} */
    /* set for a program without commands: what its one argument is, "SAMPLES.npy"; `command` is
     * then that argument */
    const char *operand;
    int (*run)(void);         /* and what it does with it */
    struct CommonOptions *common;     /* NULL: none of them are in the table */
    Option *options;
    const Preset *presets;    /* NULL: none */
    const char *command;      /* filled: what is to be done */
    const char *path;         /* filled: how the program was called, argv[0] */
    const char *line;         /* filled: the command line, quoted as a shell reads it back */
} Cli;

typedef struct CommonOptions {
    uint64_t seed;
    int threads, steps, batch;                    /* threads 0: all processors */
    int micro;                                    /* micro-batches of a step; cli_parse: 1 */
    double lr;
    const char *config, *out, *weights, *data;    /* weights, data NULL: the chapter's own */
    const char *init;                             /* NULL: random weights */
    bool resume, quiet;
} CommonOptions;

/* {COMMON_DEFAULTS("ae"), .steps = 8000, .batch = 64, .lr = 1e-3} */
#define COMMON_DEFAULTS(chapter) .seed = 1, .config = "default", .out = "build/runs/" chapter

#define COMMON_OPTIONS(c, config_names)                                                           \
    {"config", 'c', .s = &(c).config, .choices = config_names, .keep = KEEP_MODEL,                \
     .help = "network and training settings"},                                                    \
    {"seed", 's', .u = &(c).seed, .meta = "N", .help = "seed of the random numbers"},             \
    {"steps", 'n', .i = &(c).steps, .min = 0, .max = 1e9, .meta = "N", .keep = KEEP_DEFAULT,      \
     .only = "train", .help = "training steps, including those before --resume"},                 \
    {"batch", 'b', .i = &(c).batch, .min = 1, .max = 65536, .meta = "N",                          \
     .help = "images in a batch"},                                                                \
    {"micro", 0, .i = &(c).micro, .min = 1, .max = 65536, .meta = "M", .only = "train",           \
     .help = "parts of a batch that go through the network one after another"},                   \
    {"lr", 'l', .d = &(c).lr, .min = 0, .max = 1e3, .meta = "X", .only = "train",                 \
     .help = "learning rate"},                                                                    \
    {"threads", 't', .i = &(c).threads, .min = 0, .max = 256, .meta = "N", .keep = KEEP_NOT,      \
     .help = "threads, 0: one per processor; results do not depend on it"},                       \
    {"out", 'o', .s = &(c).out, .meta = "DIR", .keep = KEEP_NOT,                                  \
     .help = "folder for the results"},                                                           \
    {"weights", 'w', .s = &(c).weights, .meta = "FILE", .keep = KEEP_NOT, .only = "sample eval",  \
     .help = "trained weights (default: those that training wrote to --out)"},                    \
    {"data", 'd', .s = &(c).data, .meta = "DIR", .keep = KEEP_DEFAULT,                            \
     .help = "folder with your own data (default: the Debian package's)"},                        \
    {"init", 0, .s = &(c).init, .meta = "FILE", .keep = KEEP_NOT, .only = "train",                \
     .help = "weights to start from, of the same network (default: random ones)"},                \
    {"resume", 'r', .b = &(c).resume, .keep = KEEP_NOT, .only = "train",                          \
     .help = "continue from the checkpoint in --out"},                                            \
    {"quiet", 'q', .b = &(c).quiet, .keep = KEEP_NOT, .help = "print no progress"}

/* of a further stage, where training has several; `variable` is the field itself */
#define STAGE_STEPS(named, variable, text)                                                        \
    {named, 0, .i = &(variable), .min = 0, .max = 1e9, .meta = "N", .keep = KEEP_DEFAULT,         \
     .only = "train", .help = text}
#define STAGE_BATCH(named, variable, text)                                                        \
    {named, 0, .i = &(variable), .min = 1, .max = 65536, .meta = "N", .only = "train",            \
     .help = text}
#define STAGE_LR(named, variable, text)                                                           \
    {named, 0, .d = &(variable), .min = 0, .max = 1e3, .meta = "X", .only = "train", .help = text}

/* how many unseen pictures validation is on; weights do not depend on it, so that training may go on
 * with another number */
#define VALIDATION_SIZE(variable, least, most, text)                                              \
    {"validation", 0, .i = &(variable), .min = least, .max = most, .meta = "N",                   \
     .keep = KEEP_DEFAULT, .only = "train", .help = text}

void cli_parse(Cli *c, int argc, char **argv);
bool cli_given(const Cli *c, const char *name);     /* dies if there is no such option */
/* Ends the program if the user gave one of the options in `names`, "eta respace": they are for `what`,
 * "--sampler ddim", and would be ignored */
void cli_refuse(const Cli *c, const char *names, const char *what);
bool cli_applies(const Option *o, const char *command);     /* does it mean something there? */

/* The value in a form that cli_adopt and a preset read back: "0.001", "true", "default"; NULL for a
 * text option that has none. Numbers are written with as few digits as give the same number again.
 * Writes into `text`. */
enum { CLI_TEXT = 4096 };
const char *cli_text(const Option *o, char text[static CLI_TEXT]);

/* Does a checkpoint remember the option? */
bool cli_kept(const Cli *c, const Option *o);

/* The same command line with the options before `name` alone, and no presets: for weights that are
 * to remember nothing of later stages, of which there may be several. Lasts till exit. */
Cli cli_before(const Cli *c, const char *name);

/* `value` stands for the option in the checkpoint at `path`. With resume every option that is kept
 * is taken over, otherwise those of KEEP_MODEL; one the user gave otherwise ends the program (see
 * Keep). Adopt "config" first: it brings its preset along. */
void cli_adopt(Cli *c, const char *path, const char *name, const char *value, bool resume);

/* `word` as a shell reads it back, quoted where needed; the caller frees it */
char *shell_quote(const char *word);

#endif
