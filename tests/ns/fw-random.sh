#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fw-random.sh - whatever passes our own checks, nft and the kernel take: random rulesets, each
# pushed over the one before. FW_SEED repeats a run.
set -eu
. "${top_srcdir:-.}/tests/ns/fw-lib.sh"

seed=${FW_SEED:-$RANDOM$RANDOM}
say "seed $seed"
vm_new a
"$PY" "$top_srcdir/tests/ns/fw_random.py" "$seed" 60 >"$TMP/script"
on a timeout 600 "$TOOL" <"$TMP/script" >"$TMP/answers" || fail "push tool: $(tail -n 3 "$TMP/answers")"
if grep -vn '^ok$' "$TMP/answers" >"$TMP/bad"; then
	fail "seed $seed, ruleset $(head -n 1 "$TMP/bad")"
fi
[ "$(wc -l <"$TMP/answers")" = 60 ] || fail "seed $seed: answers are missing"
