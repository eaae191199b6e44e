#include "io/json.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static cJSON *made(cJSON *item) {
    if (!item) fail("out of memory");
    return item;
}

cJSON *json_object(void) {
    return made(cJSON_CreateObject());
}

static void set(cJSON *object, const char *key, cJSON *item) {
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    if (!cJSON_AddItemToObject(object, key, made(item))) fail("out of memory");
}

void json_text(cJSON *object, const char *key, const char *text) {
    set(object, key, cJSON_CreateString(text));
}

void json_number(cJSON *object, const char *key, double number) {
    set(object, key, cJSON_CreateNumber(number));
}

void json_bool(cJSON *object, const char *key, bool value) {
    set(object, key, cJSON_CreateBool(value));
}

void json_item(cJSON *object, const char *key, cJSON *item) {
    set(object, key, item ? item : cJSON_CreateNull());
}

cJSON *json_array(void) {
    return made(cJSON_CreateArray());
}

cJSON *json_ints(const int *x, int n) {
    return made(cJSON_CreateIntArray(x, n));
}

void json_append(cJSON *array, cJSON *item) {
    cJSON_AddItemToArray(array, made(item));
}

AtomicFile json_file(const char *path, const cJSON *value) {
    char *text = cJSON_Print(value);
    if (!text) fail("out of memory");
    AtomicFile f = file_create(path);
    file_put(&f, text, strlen(text));
    file_put(&f, "\n", 1);
    file_sync(&f);
    free(text);
    return f;
}

void json_save(const char *path, const cJSON *value) {
    AtomicFile f = json_file(path, value);
    file_commit(&f);
}
