#include "dae.h"
