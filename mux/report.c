/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report.c - gi-mux's counters, for the log (SIGUSR1) and for tests
 */
#include "mux/guest_int.h"

#include <inttypes.h>
#include "lib/base/log.h"

static void guest_stats(const struct mux_guest *g, struct mux_guest_stats *ret)
{
	*ret = g->stats;
	ret->connected = g->chan != NULL;
	ret->queued_up = g->queue.bytes;
	ret->queued_down = g->chan ? io_chan_queued(g->chan) : 0;
}

int mux_guests_stats(const struct mux_guests *s, const char *vm, struct mux_guest_stats *ret)
{
	const struct mux_guest *g = mux_guest_find(s, vm);

	if (!g)
		return -GI_ENOTFOUND;
	guest_stats(g, ret);
	return 0;
}

static void log_link(const struct mux_upstream *u)
{
	struct mux_upstream_stats st;

	mux_upstream_stats(u, &st);
	gi_notice("link: %s connects=%" PRIu64 " losses=%" PRIu64 " refusals=%" PRIu64
		  " frames_in=%" PRIu64 " frames_out=%" PRIu64 " bytes_in=%" PRIu64
		  " bytes_out=%" PRIu64 " bad_frames=%" PRIu64,
		st.up ? "up" : "down", st.connects, st.losses, st.refusals, st.frames_in,
		st.frames_out, st.bytes_in, st.bytes_out, st.bad_frames);
}

void mux_guests_log(const struct mux_guests *s)
{
	struct mux_guest *g, *next;
	struct mux_guest_stats st;

	if (s->up)
		log_link(s->up);
	if (s->vsock_port)
		gi_notice(
			"vsock: port=%" PRIu32 " strangers=%" PRIu64, s->vsock_port, s->strangers);
	HASH_ITER (hh, s->guests, g, next) {
		guest_stats(g, &st);
		gi_notice("vm %s: %s connects=%" PRIu64 " replaced=%" PRIu64 " turned_away=%" PRIu64
			  " up=%" PRIu64 "/%" PRIu64 "B down=%" PRIu64 "/%" PRIu64
			  "B refused=%" PRIu64 " overflows=%" PRIu64 " pauses=%" PRIu64
			  " lost=%" PRIu64 " queued_up=%zu queued_down=%zu",
			g->vm.name, st.connected ? g->transport : "away", st.connects, st.replaced,
			st.turned_away, st.frames_up, st.bytes_up, st.frames_down, st.bytes_down,
			st.refused, st.overflows, st.pauses, st.lost, st.queued_up, st.queued_down);
	}
}
