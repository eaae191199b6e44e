#include "io/json.h"

#include "base/file.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

void json_save(const char *path, const cJSON *value) {
    char *text = cJSON_Print(value);
    if (!text) fail("out of memory");
    char *line = text_format("%s\n", text);
    file_write(path, line, strlen(line));
    free(line);
    free(text);
}
