#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# All scenarios of the engine (tests/unit/svm-idfw/replay.c says what the words mean).
set -eu
top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
exec "${top_builddir:-$PWD}/tests/unit/svm-idfw/replay" "$top"/tests/replay/*.scn
