#include "data/folder.h"

#include "data/picture_decode.h"
#include "data/sha256.h"
#include "base/file.h"
#include "base/printable.h"
#include "kernels/kernels.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char *file;                       /* inside the folder; owned */
    char *caption;                    /* owned */
    int label;
    int line;                         /* of captions.txt */
    uint64_t hash;                    /* of the file's name */
    int32_t number;
    Part part;
} Entry;

/* Files that are not read, by the ends of their names */
enum { KINDS = 12, KIND_MAX = 12, NAMED = 100 };
typedef struct {
    char kind[KINDS][KIND_MAX];       /* ".webp", "folders"; the last one is "other files" */
    int count[KINDS], kinds;
} Unread;

typedef struct {
    const char *folder;
    Entry *entry;
    int count, classes;
    size_t room;
    char *class_name[CAPTIONED_LABELS];
    int left_out;
    Unread unread;
} List;

static void append(List *l, const char *file, const char *caption, int label, int line) {
    size_t n = (size_t)l->count + 1;
    l->entry = memory_grow(l->entry, &l->room, n, sizeof *l->entry, "%zu pictures", n);
    l->entry[l->count++] = (Entry){.file = text_format("%s", file), .line = line, .label = label,
                                   .caption = text_format("%s", caption),
                                   .hash = hash_name(0, file)};
}

static void leave_out(List *l, const char *file, const char *why) {
    if (l->left_out++ < NAMED) notice("%s/%s: %s; left out", l->folder, file, why);
}

/* counts a file or folder that is not read */
static void count_unread(Unread *u, const char *kind) {
    int k = 0;
    while (k < u->kinds && strcasecmp(u->kind[k], kind)) k++;
    if (k == KINDS || (k == KINDS - 1 && k == u->kinds)) k = KINDS - 1, kind = "other files";
    if (k == u->kinds) snprintf(u->kind[u->kinds++], KIND_MAX, "%s", kind);
    u->count[k]++;
}

/* ".webp: 3, folders: 2"; to be freed */
static char *unread_text(const Unread *u) {
    char *text = text_format("%s", "");
    for (int k = 0; k < u->kinds; k++) {
        char *longer = text_format("%s%s%s: %d", text, k ? ", " : "", u->kind[k], u->count[k]);
        free(text);
        text = longer;
    }
    return text;
}

/* ---- captions -------------------------------------------------------------------------------- */

/* Control characters, tabs among them, become spaces. Returns what is wrong, or NULL. */
static const char *check_caption(char *caption) {
    if (strlen(caption) > CAPTION_MAX) return "its caption is longer than 1000 bytes";
    int n;
    for (const char *s = caption; *s; s += n)
        if (!(n = utf8_length(s))) return "its caption is not UTF-8";
    make_printable(caption, ' ');
    return caption[strspn(caption, " ")] ? NULL : "its caption is empty";
}

/* Does the name stay inside the folder? */
static bool is_inside(const char *file) {
    if (*file == '/') return false;
    for (const char *part = file; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (!strncmp(part, "..", 2) && (!part[2] || part[2] == '/')) return false;
    }
    return true;
}

static void trim(char **text) {
    *text += strspn(*text, " \t\r");
    for (char *end = *text + strlen(*text); end > *text && strchr(" \t\r", end[-1]); ) *--end = 0;
}

bool captions_line(char *line, const char **file, const char **caption,
                   char message[static CAPTION_MESSAGE]) {
    char *text = strchr(line, '\t');
    const char *why = NULL;
    if (text) {
        *text++ = 0;
        trim(&text);
        why = check_caption(text);
    }
    if (!text) why = "has no tab between file and caption";
    else if (!*line) why = "names no file";
    else if (!is_inside(line)) why = "names a file outside of the folder";
    if (why) snprintf(message, CAPTION_MESSAGE, "%s", why);
    *file = line;
    *caption = text;
    return !why;
}

/* Has it the mark of UTF-16, or zero bytes as ASCII letters have them there? */
static bool is_utf16(const uint8_t *bytes, size_t n) {
    size_t zeros = 0, looked_at = n < 4096 ? n : 4096;
    if (n >= 2 && (!memcmp(bytes, "\xFF\xFE", 2) || !memcmp(bytes, "\xFE\xFF", 2))) return true;
    for (size_t i = 0; i < looked_at; i++) zeros += !bytes[i];
    return zeros > looked_at / 4;
}

/* the text of a file, its zero bytes made spaces; to be freed */
static char *read_text(const char *path) {
    size_t n;
    const uint8_t *bytes = file_map(path, &n);
    if (is_utf16(bytes, n)) fail("%s: is UTF-16; save it as UTF-8, which is read", path);
    char *text = memory_new(n + 1, 1, "%s", path);
    for (size_t i = 0; i < n; i++) text[i] = bytes[i] ? (char)bytes[i] : ' ';
    text[n] = 0;
    file_unmap(bytes, n);
    return text;
}

static void list_captions(List *l, const char *path) {
    char *text = read_text(path), *line = text, message[CAPTION_MESSAGE];
    l->classes = 1;
    l->class_name[0] = text_format("all");
    if (!strncmp(line, "\xEF\xBB\xBF", 3)) line += 3;       /* the mark that some editors write */
    for (int number = 1; line; number++) {
        char *next = strchr(line, '\n');
        if (next) *next++ = 0;
        const char *file, *caption;
        if (line[strspn(line, " \t\r")]) {
            if (captions_line(line, &file, &caption, message)) {
                append(l, file, caption, 0, number);
            } else {
                char *where = text_format("captions.txt:%d", number);
                leave_out(l, where, message);
                free(where);
            }
        }
        line = next;
    }
    free(text);
}

/* ---- class folders --------------------------------------------------------------------------- */

/* The names in a folder in the order of their bytes, without hidden ones; -1: it cannot be read. */
static int is_shown(const struct dirent *d) {
    return d->d_name[0] != '.';
}

static int by_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool is_folder(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* is the end of the name, with its dot, one of these? */
static bool ends_with_one_of(const char *name, const char *const *ends) {
    const char *dot = strrchr(name, '.');
    for (; dot && *ends; ends++)
        if (!strcasecmp(dot, *ends)) return true;
    return false;
}

static bool is_picture_name(const char *name) {
    static const char *const ends[] = {".png", ".jpg", ".jpeg", NULL};
    return ends_with_one_of(name, ends);
}

/* What lies there and is not read: counted, and named if the user may think that it is. */
static void pass_over(List *l, const char *file, bool folder) {
    static const char *const pictures[] = {".webp", ".bmp", ".gif", ".tif", ".tiff", ".heic",
                                           ".heif", ".avif", ".jxl", ".jp2", ".jfif", ".svg",
                                           ".ppm", ".pgm", ".pnm", ".tga", ".psd", ".ico", NULL};
    const char *dot = strrchr(file, '.'), *slash = strrchr(file, '/');
    bool has_end = dot && dot > slash && strlen(dot) < KIND_MAX;
    count_unread(&l->unread, folder ? "folders" : has_end ? dot : "other files");
    if (folder) leave_out(l, file, "a folder inside of a class folder is not read");
    else if (ends_with_one_of(file, pictures)) leave_out(l, file, "PNG and JPEG files are read");
}

/* the pictures of a class folder, whose caption is `caption` */
static void list_class(List *l, const char *name, const char *caption, struct dirent **in, int n) {
    for (int i = 0; i < n; i++) {
        char *file = path_join(name, in[i]->d_name), *path = path_join(l->folder, file);
        bool folder = is_folder(path);
        if (!folder && is_picture_name(file)) append(l, file, caption, l->classes, 0);
        else pass_over(l, file, folder);
        free(file), free(path);
    }
}

/* It becomes a class if it holds files that are called pictures. */
static void list_folder(List *l, const char *name, const char *path) {
    struct dirent **in;
    int n = scandir(path, &in, is_shown, by_bytes), before = l->count;
    char *caption = text_format("%s", name);
    const char *why = n < 0 ? strerror(errno) : check_caption(caption);
    if (why) leave_out(l, name, why);
    else list_class(l, name, caption, in, n);
    if (l->count > before) {
        if (l->classes == CAPTIONED_LABELS) fail("%s: has more than 256 class folders", l->folder);
        l->class_name[l->classes++] = text_format("%s", caption);
    } else if (!why) {
        notice("%s: has no PNG or JPEG files; it is no class", path);
    }
    for (int i = 0; i < n; i++) free(in[i]);
    if (n >= 0) free(in);
    free(caption);
}

/* captions in another format, by the names that other programs give them */
static bool holds_captions(const char *name) {
    static const char *const starts[] = {"captions.", "metadata.", "labels."};
    for (int i = 0; i < 3; i++)
        if (!strncasecmp(name, starts[i], strlen(starts[i]))) return true;
    return false;
}

static void list_classes(List *l) {
    struct dirent **in;
    int n = scandir(l->folder, &in, is_shown, by_bytes);
    if (n < 0) fail("%s: cannot be read: %s", l->folder, strerror(errno));
    for (int i = 0; i < n; i++) {
        char *path = path_join(l->folder, in[i]->d_name);
        if (is_folder(path)) list_folder(l, in[i]->d_name, path);
        else if (is_picture_name(path)) leave_out(l, in[i]->d_name, "lies in no class folder");
        else if (holds_captions(in[i]->d_name))
            leave_out(l, in[i]->d_name, "captions are read from captions.txt, lines of "
                                        "FILE<tab>caption");
        else pass_over(l, in[i]->d_name, false);
        free(path);
        free(in[i]);
    }
    free(in);
}

/* Classes of which no picture could be read are none. */
static void drop_empty_classes(List *l) {
    int pictures[CAPTIONED_LABELS] = {0}, label[CAPTIONED_LABELS], kept = 0;
    for (int i = 0; i < l->count; i++) pictures[l->entry[i].label]++;
    for (int k = 0; k < l->classes; k++) {
        label[k] = kept;
        if (pictures[k]) {
            l->class_name[kept++] = l->class_name[k];
        } else {
            notice("%s/%s: has no picture that can be used; it is no class", l->folder,
                   l->class_name[k]);
            free(l->class_name[k]);
        }
    }
    l->classes = kept;
    for (int i = 0; i < l->count; i++) l->entry[i].label = label[l->entry[i].label];
}

/* ---- pictures -------------------------------------------------------------------------------- */

/* The file's bytes, to be freed; NULL: with one line in `message`. */
static uint8_t *read_file(const char *path, size_t *length, char *message) {
    struct stat s;
    FILE *f = NULL;
    if (stat(path, &s)) snprintf(message, DECODE_MESSAGE, "%s", strerror(errno));
    else if (!S_ISREG(s.st_mode)) snprintf(message, DECODE_MESSAGE, "is not a plain file");
    else if (s.st_size > DECODE_BYTES_MAX) {
        snprintf(message, DECODE_MESSAGE, "has %lld bytes, at most %d are read",
                 (long long)s.st_size, DECODE_BYTES_MAX);
    } else if (!(f = fopen(path, "rbe"))) snprintf(message, DECODE_MESSAGE, "%s", strerror(errno));
    if (!f) return NULL;
    uint8_t *bytes = memory_new((size_t)s.st_size, 1, "%s", path);
    *length = fread(bytes, 1, (size_t)s.st_size, f);
    fclose(f);
    return bytes;
}

static bool read_picture(List *l, const Entry *e, int size, uint8_t *out) {
    char *path = path_join(l->folder, e->file), message[DECODE_MESSAGE];
    size_t length = 0;
    uint8_t *bytes = read_file(path, &length, message);
    bool good = bytes && picture_decode(bytes, length, size, out, message);
    if (!good) leave_out(l, e->file, message);
    free(bytes);
    free(path);
    return good;
}

static void entry_free(Entry *e) {
    free(e->file);
    free(e->caption);
}

/* All of the list as (count,size,size,3), to be freed; the list keeps what could be read. */
static uint8_t *read_pictures(List *l, int size) {
    size_t each = (size_t)size * size * 3;
    uint8_t *pixels = memory_new((size_t)l->count, each, "%d pictures", l->count);
    int n = 0;
    for (int i = 0; i < l->count; i++) {
        Entry *e = &l->entry[i];
        if (!read_picture(l, e, size, pixels + (size_t)n * each)) {
            entry_free(e);
            continue;
        }
        e->number = n;
        l->entry[n++] = *e;
    }
    l->count = n;
    return pixels;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
    const Entry *e = a, *f = b;
    int order = strcmp(e->file, f->file);
    return order ? order : e->line - f->line;
}

static int by_hash(const void *a, const void *b) {
    const Entry *e = a, *f = b;
    return e->hash != f->hash ? (e->hash < f->hash ? -1 : 1) : by_name(a, b);
}

static int by_part(const void *a, const void *b) {
    const Entry *e = a, *f = b;
    return e->part != f->part ? (int)e->part - (int)f->part : by_name(a, b);
}

/* too few pictures: says what there was, and what is read */
static _Noreturn void refuse(const List *l, int files) {
    char *unread = unread_text(&l->unread);
    const char *also = *unread ? "; not read: " : "";
    if (!l->classes)
        fail("%s: has neither captions.txt (lines FILE<tab>caption) nor class folders with PNG or "
             "JPEG files%s%s", l->folder, also, unread);
    fail("%s: has %d pictures that can be used; at least 3 are needed, one each for training, "
         "validation and test; PNG and JPEG are read; left out: %d%s%s", l->folder, files,
         l->left_out, also, unread);
}

static void say_left_out(const List *l) {
    if (!l->left_out) return;
    char *unread = unread_text(&l->unread);
    notice("%s: %d used, %d left out%s%s", l->folder, l->count, l->left_out,
           *unread ? "; not read: " : "", unread);
    free(unread);
}

/* Lines that name one file share its hash, and stay together. */
static void choose_parts(List *l) {
    int files = 0, n;
    qsort(l->entry, (size_t)l->count, sizeof *l->entry, by_hash);
    for (int i = 0; i < l->count; i++) files += !i || l->entry[i].hash != l->entry[i - 1].hash;
    if (files < 3) refuse(l, files);
    n = files < 40 ? 1 : files / 20;
    for (int i = 0, file = -1; i < l->count; i++) {
        file += !i || l->entry[i].hash != l->entry[i - 1].hash;
        l->entry[i].part = file < n ? PART_TEST : file < 2 * n ? PART_VALIDATION : PART_TRAIN;
    }
    qsort(l->entry, (size_t)l->count, sizeof *l->entry, by_part);
}

/* ---- the set --------------------------------------------------------------------------------- */

/* the texts in one block, which the set owns */
static void copy_texts(Captioned *c, const List *l, const char **captions) {
    size_t length = 0;
    for (int i = 0; i < l->count; i++) length += strlen(l->entry[i].caption) + 1;
    for (int i = 0; i < l->classes; i++) length += strlen(l->class_name[i]) + 1;
    char *to = c->text = memory_new(length, 1, "captions of %zu bytes", length);
    for (int i = 0; i < l->count; i++) {
        captions[i] = to;
        to = stpcpy(to, l->entry[i].caption) + 1;
    }
    for (int i = 0; i < l->classes; i++) {
        c->class_name[i] = to;
        to = stpcpy(to, l->class_name[i]) + 1;
    }
}

static Captioned build(const List *l, const uint8_t *read, int size) {
    size_t n = (size_t)l->count, each = (size_t)size * size * 3;
    uint8_t *pixels = memory_new(n, each, "%zu pictures", n);
    uint8_t *labels = memory_new(n, 1, "%zu pictures", n);
    int32_t *number = memory_new(n, sizeof *number, "%zu pictures", n);
    int32_t *concept = memory_new(n, sizeof *concept, "%zu pictures", n);
    const char **captions = memory_new(n, sizeof *captions, "%zu captions", n);
    int32_t count[PARTS] = {0};
    Captioned c = {.classes = l->classes, .groups = 1, .group_name = {"all"},
                   .memory = {pixels, labels, number, concept, captions},
                   .number = number, .concept = concept};
    copy_texts(&c, l, captions);
    for (size_t i = 0; i < n; i++) {
        const Entry *e = &l->entry[i];
        memcpy(pixels + i * each, read + (size_t)e->number * each, each);
        labels[i] = (uint8_t)e->label;
        number[i] = e->number;
        concept[i] = i && !strcmp(e->file, e[-1].file) ? concept[i - 1] : e->number;
        count[e->part]++;
    }
    c.all = (Images){l->count, size, size, 3, pixels, labels, captions};
    captioned_parts(&c, count);
    char hex[65];
    sha256(pixels, n * each, hex);
    c.source = text_format("%d pictures of %s (sha256 of their pixels %s)", l->count, l->folder,
                           hex);
    return c;
}

Captioned folder_load(const char *folder, int size) {
    List l = {.folder = folder, .entry = memory_new(0, sizeof *l.entry, "%s", folder)};
    char *captions = path_join(folder, "captions.txt");
    if (access(captions, F_OK) == 0) list_captions(&l, captions);
    else list_classes(&l);
    free(captions);
    qsort(l.entry, (size_t)l.count, sizeof *l.entry, by_name);
    uint8_t *read = read_pictures(&l, size);
    choose_parts(&l);
    drop_empty_classes(&l);
    say_left_out(&l);
    Captioned c = build(&l, read, size);
    free(read);
    for (int i = 0; i < l.count; i++) entry_free(&l.entry[i]);
    for (int i = 0; i < l.classes; i++) free(l.class_name[i]);
    free(l.entry);
    return c;
}
