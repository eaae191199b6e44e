#include "train/record.h"

#include "base/error.h"
#include "kernels/kernels.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

double peak_memory(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
    return (double)usage.ru_maxrss;
#else
    return 1024.0 * (double)usage.ru_maxrss;
#endif
}

/* numbers as numbers, except seeds that a double cannot hold */
static void add_option(cJSON *options, const Option *o) {
    char text[CLI_TEXT];
    const char *value = cli_text(o, text);
    if (!value) json_item(options, o->name, NULL);
    else if (o->b) json_bool(options, o->name, *o->b);
    else if (o->i) json_number(options, o->name, *o->i);
    else if (o->d) json_number(options, o->name, *o->d);
    else if (o->u && *o->u < (1ULL << 53)) {
        json_number(options, o->name, (double)*o->u);
    } else json_text(options, o->name, value);
}

/* "model name : ..." of /proc/cpuinfo; where there is none, the kind of machine */
static void add_cpu(cJSON *record) {
    struct utsname machine;
    char line[256], *cpu = uname(&machine) == 0 ? machine.machine : "unknown";
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (!f && errno == ENOMEM) fail("out of memory");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        line[strcspn(line, "\n")] = 0;
        cpu = colon + 1 + strspn(colon + 1, " ");
        break;
    }
    json_text(record, "cpu", cpu);
    if (f) fclose(f);
}

static void add_time(cJSON *record) {
    char text[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    json_text(record, "started", text);
}

void record_options(cJSON *record, const Cli *cli) {
    cJSON *options = json_object();
    for (const Option *o = cli->options; o->name; o++)
        if (cli_applies(o, cli->command)) add_option(options, o);
    if (!cJSON_ReplaceItemInObjectCaseSensitive(record, "options", options))
        json_item(record, "options", options);
}

cJSON *record_new(const Cli *cli) {
    cJSON *record = json_object();
    json_text(record, "chapter", cli->program);
    json_text(record, "command", cli->line);
    record_options(record, cli);
    add_time(record);
    json_text(record, "compiler", COMPILER);
    json_text(record, "real", sizeof(real) == 8 ? "double" : "float");
    json_number(record, "vector_bytes", vector_bytes());     /* other widths, other roundings */
    json_number(record, "threads", threads_get());
    add_cpu(record);
    return record;
}
