#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Drills that last longer than a lease of 10 s: the kernel closes what has it, in time, and nothing
# else; when it is mended all is open again. The directory's absence ends no lease.
set -euo pipefail
: "${IDFW_LAB:=e$$}" "${IDFW_BUILD:=${top_builddir:?}}"
# shellcheck source=lab/functions.sh
. "${top_srcdir:?}/lab/functions.sh"
# shellcheck source=lab/checks.sh
. "$LAB_TOP/lab/checks.sh"
# shellcheck source=lab/drills.sh
. "$LAB_TOP/lab/drills.sh"
lab_test

# when a lease ended is judged by the drill itself, which knows how long the machine stood still
for drill in agent mux svm partition directory "agent --fault stop" "mux --fault stop" "svm --fault stop" "directory --fault stop"; do
	fault=${drill%% *}
	# shellcheck disable=SC2086
	drill 0 $drill --vm jump01 --for 11s && ok "$drill is as the table says" || differing
	check "$drill: who has a lease of 24 h notices nothing" facts "o['broken_ms'] >= 10000 and \
		flows['lasting']['shut'] == 0 and flows['lasting']['opened'] > 2 and not flows['lasting']['ended']"
	if [ $fault = directory ]; then
		check "$drill: nor who has one of 10 s" facts "flows['close']['shut'] == 0"
	else
		check "$drill: a lease of 10 s ended" facts "flows['close']['shut'] > 0"
	fi
done
