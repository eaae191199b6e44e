/* test_cli.c — the command line: what is accepted, what is refused and how, presets, what a
 * checkpoint remembers. */
#include "testing.h"

#include "train/cli.h"
#include "stops.h"

#include <math.h>

SUITE(cli);

static struct {
    CommonOptions common;
    int hidden;
    const char *activation;
    double scale;
    int count;
    CliList prompts;
} o;

#define MANY "default|hinton2006|one-of-many|another-one|and-one-more|the-next|the-last-but-three|the-last-but-" \
             "two|the-last-but-one|the-last"
static Option options[] = {
    COMMON_OPTIONS(o.common, MANY),
    {"hidden", 0, .i = &o.hidden, .min = 1, .max = 4096, .meta = "N", .keep = KEEP_MODEL,
     .help = "hidden units"},
    {"activation", 'a', .s = &o.activation, .choices = "relu|tanh", .help = "nonlinearity"},
    {"scale", 0, .d = &o.scale, .min = 0.5, .max = INFINITY, .meta = "X", .help = "guidance"},
    {"count", 0, .i = &o.count, .min = 1, .max = 100, .meta = "N", .only = "sample eval",
     .help = "pictures"},
    {"prompt", 0, .list = &o.prompts, .meta = "TEXT", .only = "sample", .keep = KEEP_NOT,
     .help = "what to draw; may be given several times"},
    {0}};
static const Preset presets[] = {{"hinton2006", "lr=0.1 batch=100 hidden=1000"}, {0}};
static const Command commands[] = {{"train", "train a network", NULL},
                                   {"sample", "draw pictures", NULL},
                                   {"eval", "score", NULL},
                                   {"info", "print the network", NULL},
                                   {0}};
static Cli cli;

/* parses "train --lr 3" with the defaults fresh */
static void parse(const char *words) {
    static char copy[1000];
    static char *argv[100];
    int argc = 1;
    o = (typeof(o)){.common = {.seed = 1,
                               .steps = 3000,
                               .batch = 128,
                               .lr = 1e-3,
                               .config = "default",
                               .out = "runs/ae"},
                    .hidden = 500,
                    .activation = "relu",
                    .scale = 3,
                    .count = 64};
    cli = (Cli){.program = "ae", .about = "autoencoders", .commands = commands,
                .options = options, .presets = presets};
    argv[0] = "build/ae";
    strcpy(copy, words);
    for (char *w = strtok(copy, " "); w; w = strtok(NULL, " ")) argv[argc++] = w;
    argv[argc] = NULL;
    cli_parse(&cli, argc, argv);
}

static void parse_it(void *words) {
    parse(words);
}

static void refused(const char *words, const char *part) {
    expect_stop(2, part, parse_it, (void *)words);
}

/* does a plain command line leave the defaults as they are? */
Test(cli, keeps_the_defaults_when_nothing_is_given) {
    parse("train");
    cr_assert_str_eq(cli.command, "train");
    cr_assert_eq(o.common.steps, 3000);
    cr_assert_eq(o.common.lr, 1e-3);
    cr_assert_not(cli_given(&cli, "lr"));
}

/* are the values of a repeated option kept in their order, and is an empty or surplus one refused? */
Test(cli, keeps_all_values_of_a_list) {
    char text[CLI_TEXT], many[900] = "sample";
    parse("sample");
    cr_assert_eq(o.prompts.count, 0);
    parse("sample --prompt cat --prompt=dog --scale 2 --prompt cat");
    cr_assert_eq(o.prompts.count, 3);
    cr_assert_str_eq(o.prompts.text[0], "cat");
    cr_assert_str_eq(o.prompts.text[1], "dog");
    cr_assert_str_eq(o.prompts.text[2], "cat");
    for (const Option *p = options; p->name; p++)
        if (p->list) cr_assert_null(cli_text(p, text));
    refused("sample --prompt=", "--prompt: its value is empty");
    refused("eval --prompt cat", "--prompt means nothing to ae eval");
    for (int i = 0; i < 30; i++) strcat(many, " --prompt=x --prompt=x");
    strcat(many, " --prompt=x --prompt=x --prompt=x --prompt=x");
    many[sizeof many - 1] = 0;
    refused(strcat(many, " --prompt=x"), "--prompt: is given more than 64 times");
}

/* are all types, long, short, abbreviated and joined forms read, wherever the command stands? */
Test(cli, reads_every_type_and_form) {
    parse("--seed 18446744073709551615 -n 7 train --lr=2.5e-4 --quiet -atanh --hid 12 -t2 -o x/y");
    cr_assert_eq(o.common.seed, UINT64_MAX);
    cr_assert_eq(o.common.steps, 7);
    cr_assert_eq(o.common.lr, 2.5e-4);
    cr_assert_eq(o.common.threads, 2);
    cr_assert_eq(o.hidden, 12);
    cr_assert_str_eq(o.activation, "tanh");
    cr_assert_str_eq(o.common.out, "x/y");
    cr_assert(o.common.quiet && cli_given(&cli, "lr") && cli_given(&cli, "quiet"));
}

/* A letter may be one option in training and another in sampling, and so may a name. Do both arrive,
 * in either order and on either side of the command, and does the last of two values count? */
Test(cli, a_letter_and_a_name_mean_what_the_command_knows_them_as) {
    static const char *const lines[] = {"sample --steps 25 -n 16", "sample -n 16 --steps 25",
                                        "-n 16 --steps 25 sample", "--steps 25 sample -n16",
                                        "sample -n 3 --steps 25 --pictures 16"};
    int pictures, sampling_steps;
    Option table[] = {COMMON_OPTIONS(o.common, "default"),
                      {"steps", 0, .i = &sampling_steps, .min = 1, .max = 100, .meta = "N",
                       .only = "sample eval", .help = "of the way back"},
                      {"pictures", 'n', .i = &pictures, .min = 1, .max = 100, .meta = "N",
                       .only = "sample", .help = "how many"},
                      {0}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char copy[100], *argv[8] = {"build/ddpm"};
        int argc = 1;
        pictures = sampling_steps = 0;
        o.common.steps = 3000;
        cli = (Cli){.program = "ddpm", .commands = commands, .options = table};
        strcpy(copy, lines[i]);
        for (char *w = strtok(copy, " "); w; w = strtok(NULL, " ")) argv[argc++] = w;
        cli_parse(&cli, argc, argv);
        cr_expect(pictures == 16 && sampling_steps == 25 && o.common.steps == 3000,
                  "%s: %d pictures, %d steps", lines[i], pictures, sampling_steps);
        cr_expect(cli_given(&cli, "steps"), "%s", lines[i]);
    }
}

/* does every command line that makes no sense end with status 2 and one line that says why? */
Test(cli, refuses_what_makes_no_sense_with_status_2) {
    refused("", "no command given; see build/ae --help");
    refused("--seed 1", "no command given");
    refused("tain", "unknown command 'tain'");
    refused("train sample", "surplus argument 'sample'");
    refused("train -- x", "surplus argument 'x'");
    refused("train --foo", "unknown or ambiguous option --foo");
    refused("train --foo=3", "unknown or ambiguous option --foo=3");
    refused("train --s 3", "ambiguous option --s");
    refused("train -x", "unknown option -x; see build/ae train --help");
    refused("train --lr", "--lr needs a value: --lr X");
    refused("train -n", "--steps needs a value: --steps N");
    refused("train --activation", "--activation needs a value: --activation relu|tanh");
    refused("train --quiet=1", "--quiet=1: this option takes no value");
    refused("train --help=1", "takes no value");
    refused("train --steps ten", "--steps: 'ten' is not a whole number");
    refused("train --steps 10x", "'10x' is not a whole number");
    refused("train --steps 1.5", "'1.5' is not a whole number");
    refused("train --steps -5", "--steps: -5 is not in 0 to 1000000000");
    refused("train --steps 99999999999999999999", "is not in 0 to");
    refused("train --batch 0", "--batch: 0 is not in 1 to 65536");
    refused("train --hidden 5000", "5000 is not in 1 to 4096");
    refused("train --lr nan", "'nan' is not a number");
    refused("train --lr inf", "'inf' is not a number");
    refused("train --lr 1e-3x", "is not a number");
    refused("train --lr -1", "-1 is not in 0 to 1000");
    refused("train --scale 0.1", "0.1 is below 0.5");
    refused("train --seed -1", "'-1' is not a whole number from 0");
    refused("train --seed 18446744073709551616", "is not a whole number from 0");
    refused("train --activation gelu", "'gelu' is not one of relu|tanh");
    refused("train --activation relu|tanh", "is not one of");
    refused("train --config other", "'other' is not one of default|hinton2006");
    refused("train --out=", "--out: its value is empty");
    refused("train --count 3", "--count means nothing to ae train, only to: sample eval");
    refused("sample --steps 3", "--steps means nothing to ae sample, only to: train");
}

/* a program with one argument instead of commands */
static void parse_operand(void *words) {
    static char *argv[4];
    int argc = 1;
    cli = (Cli){.program = "score", .operand = "SAMPLES.npy", .options = options};
    argv[0] = "build/score";
    for (char *w = strtok(words, " "); w; w = strtok(NULL, " ")) argv[argc++] = w;
    cli_parse(&cli, argc, argv);
}

Test(cli, takes_an_operand_in_place_of_a_command) {
    char good[] = "x.npy --hidden 7", none[] = "--hidden 7", two[] = "x.npy y.npy";
    char wrong[] = "x.npy --hiden";
    parse_operand(good);
    cr_assert_str_eq(cli.command, "x.npy");
    cr_assert_eq(o.hidden, 7);
    expect_stop(2, "no SAMPLES.npy given; see build/score --help", parse_operand, none);
    expect_stop(2, "surplus argument 'y.npy' after x.npy", parse_operand, two);
    expect_stop(2, "--hiden; see build/score --help", parse_operand, wrong);
}

/* does a preset set its options, and does what the user wrote win, in any order? */
Test(cli, presets_set_defaults_that_the_command_line_overrides) {
    parse("train --config hinton2006");
    cr_assert(o.common.lr == 0.1 && o.common.batch == 100 && o.hidden == 1000);
    cr_assert_not(cli_given(&cli, "lr"));
    parse("train --lr 0.5 --config hinton2006 -b 8");
    cr_assert(o.common.lr == 0.5 && o.common.batch == 8 && o.hidden == 1000);
}

/* is a value written so that it is read back exactly, and as short as that allows? */
Test(cli, writes_values_that_read_back_exactly) {
    char text[CLI_TEXT];
    double values[] = {0.001, 1e-3 / 3, 2.5e-4, 1e22, 0.1 + 0.2};
    for (int i = 0; i < 5; i++) {
        double x = values[i];
        cr_assert_eq(strtod(cli_text(&(Option){.name = "x", .d = &x}, text), NULL), x);
    }
    parse("train");
    cr_assert_str_eq(cli_text(&options[5], text), "0.001");
    cr_assert_str_eq(cli_text(&options[11], text), "false");
    cr_assert_null(cli_text(&options[8], text), "%s has no value", options[8].name);
}

/* --resume: do values come from the checkpoint unless given, with the preset below them? */
Test(cli, takes_over_from_a_checkpoint_what_is_not_given) {
    parse("train --steps 500");
    cli_adopt(&cli, "c", "config", "hinton2006", true);
    cli_adopt(&cli, "c", "lr", "0.2", true);
    cli_adopt(&cli, "c", "steps", "100", true);
    cli_adopt(&cli, "c", "data", "some/where", true);
    cr_assert_str_eq(o.common.config, "hinton2006");
    cr_assert_eq(o.common.lr, 0.2);
    cr_assert_eq(o.common.batch, 100, "from the preset");
    cr_assert_eq(o.common.steps, 500, "given, and may differ");
    cr_assert_str_eq(o.common.data, "some/where");
}

/* sample: is only what describes the network taken over? */
Test(cli, takes_over_only_the_network_when_not_resuming) {
    parse("sample");
    cli_adopt(&cli, "c", "hidden", "77", false);
    cli_adopt(&cli, "c", "seed", "9", false);
    cr_assert_eq(o.hidden, 77);
    cr_assert_eq(o.common.seed, 1);
}

static void contradict(void *words) {
    parse(words);
    cli_adopt(&cli, "c.safetensors", "lr", "0.001", true);
    cli_adopt(&cli, "c.safetensors", "hidden", "500", true);
}

static void adopt_nonsense(void *words) {
    parse(words);
    cli_adopt(&cli, "c.safetensors", "hidden", "many", true);
}

/* --resume: is an option that contradicts the checkpoint an error, and the same value none? */
Test(cli, refuses_options_that_contradict_the_checkpoint) {
    expect_stop(2, "--lr 0.5 contradicts c.safetensors, which was made with --lr 0.001", contradict,
                "train --lr 0.5");
    expect_stop(2, "--hidden 3 contradicts", contradict, "train --hidden 3");
    expect_stop(1, "c.safetensors: its option --hidden: 'many' is not a whole number",
                adopt_nonsense, "train");
    contradict("train --lr 1e-3 --hidden 500");
}

/* can the recorded command line be pasted into a shell? */
Test(cli, quotes_the_command_line_for_a_shell) {
    static char *argv[] = {"build/ae", "train", "--out", "a b'c$d", NULL};
    parse("train");
    cli_parse(&cli, 4, argv);
    cr_assert_str_eq(cli.line, "build/ae train --out 'a b'\\''c$d'");
    char *empty = shell_quote("");
    cr_assert_str_eq(empty, "''");
    free(empty);
}

/* does --help, alone and after a command, print each option with its default and exit with status
 * 0? */
Test(cli, help_prints_every_option_with_its_default) {
    char text[8192] = "";
    int result, ends[2];
    cr_assert_eq(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        in_child = true;
        dup2(ends[1], STDOUT_FILENO);
        parse("--lr 9 --help train");
        _exit(3);
    }
    close(ends[1]);
    for (ssize_t n = 0, got; (got = read(ends[0], text + n, sizeof text - 1 - (size_t)n)) > 0;
         n += got) {
    }
    close(ends[0]);
    waitpid(child, &result, 0);
    cr_assert(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    for (Option *p = options; p->name; p++) {
        char word[64];
        snprintf(word, sizeof word, "--%s", p->name);
        bool shown = !p->only || strstr(p->only, "train");
        cr_assert_eq(!!strstr(text, word), shown, "%s in %s", word, text);
    }
    cr_assert(strstr(text, "learning rate (default: 0.001)"), "%s", text);
    cr_assert(strstr(text, "lr=0.1 batch=100"));
    cr_assert(strstr(text, "-c, --config " MANY "\n" "                              network"), "%s",
              text);
    cr_assert(strstr(text, "  -l, --lr X                  learning rate"), "%s", text);
}
