/* json.h — JSON files for results (run.json, metrics.json), through cJSON. Failed allocations end the
 * program with one line: cJSON's own
 * builders would leave out what they cannot allocate. */
#ifndef JSON_H
#define JSON_H

#include "base/file.h"

#include <cjson/cJSON.h>

cJSON *json_object(void);                     /* to be freed by cJSON_Delete */
/* sets a key of an object, anew if it is there */
void json_text(cJSON *object, const char *key, const char *text);
void json_number(cJSON *object, const char *key, double number);
void json_bool(cJSON *object, const char *key, bool value);
void json_item(cJSON *object, const char *key, cJSON *item);     /* NULL: JSON's null; owned now */

cJSON *json_array(void);
cJSON *json_ints(const int *x, int n);
void json_append(cJSON *array, cJSON *item);                     /* owned now */

void json_save(const char *path, const cJSON *value);            /* indented, atomic */
/* the same, not yet committed */
AtomicFile json_file(const char *path, const cJSON *value);

#endif
