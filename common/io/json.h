/* json.h — JSON files for results (run.json, metrics.json), through cJSON. */
#ifndef JSON_H
#define JSON_H

#include <cjson/cJSON.h>

void json_save(const char *path, const cJSON *value);    /* indented, atomic */

#endif
