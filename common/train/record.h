/* record.h — what run.json says of a run before it starts: what was called, how the program was
 * built, and on what machine. */
#ifndef RECORD_H
#define RECORD_H

#include "train/cli.h"
#include "io/json.h"

cJSON *record_new(const Cli *cli);       /* an object, to be freed by cJSON_Delete */
/* the options as they are by now: an earlier stage's weights may have brought some */
void record_options(cJSON *record, const Cli *cli);
double peak_memory(void);                /* bytes this process held at most */

#endif
