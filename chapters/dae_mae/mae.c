#include "mae.h"
