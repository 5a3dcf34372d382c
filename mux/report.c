/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report.c - gi-mux's counters, for the log (SIGUSR1) and for tests
 */
#include "mux/guest_int.h"

#include <inttypes.h>
#include "lib/base/log.h"

static void lane_stats(const struct mux_lane *l, struct mux_guest_stats *ret)
{
	*ret = l->stats;
	ret->connected = l->chan != NULL;
	ret->queued_up = l->queue.bytes;
	ret->queued_down = l->chan ? io_chan_queued(l->chan) : 0;
}

int mux_guests_stats(const struct mux_guests *s, const char *vm, enum mux_lane_id lane,
	struct mux_guest_stats *ret)
{
	const struct mux_guest *g = mux_guest_find(s, vm);

	if (!g)
		return -GI_ENOTFOUND;
	lane_stats(&g->lane[lane], ret);
	return 0;
}

static void log_link(const struct mux_upstream *u, const char *mark)
{
	struct mux_upstream_stats st;

	mux_upstream_stats(u, &st);
	gi_notice("link%s: %s connects=%" PRIu64 " losses=%" PRIu64 " refusals=%" PRIu64
		  " frames_in=%" PRIu64 " frames_out=%" PRIu64 " bytes_in=%" PRIu64
		  " bytes_out=%" PRIu64 " bad_frames=%" PRIu64,
		mark, st.up ? "up" : "down", st.connects, st.losses, st.refusals, st.frames_in,
		st.frames_out, st.bytes_in, st.bytes_out, st.bad_frames);
}

static void log_lane(const struct mux_lane *l)
{
	struct mux_guest_stats st;

	lane_stats(l, &st);
	gi_notice("vm %s%s: %s connects=%" PRIu64 " replaced=%" PRIu64 " turned_away=%" PRIu64
		  " up=%" PRIu64 "/%" PRIu64 "B down=%" PRIu64 "/%" PRIu64 "B refused=%" PRIu64
		  " overflows=%" PRIu64 " pauses=%" PRIu64 " throttles=%" PRIu64 " lost=%" PRIu64
		  " lines=%" PRIu64 " lines_dropped=%" PRIu64 " queued_up=%zu queued_down=%zu",
		l->guest->vm.name, mux_lane_mark(l->id), st.connected ? l->transport : "away",
		st.connects, st.replaced, st.turned_away, st.frames_up, st.bytes_up, st.frames_down,
		st.bytes_down, st.refused, st.overflows, st.pauses, st.throttles, st.lost, st.lines,
		st.lines_dropped, st.queued_up, st.queued_down);
}

void mux_guests_log(const struct mux_guests *s)
{
	const struct mux_trunk *t;
	struct mux_guest *g, *next;

	for (enum mux_lane_id k = 0; k < MUX_LANES; k++) {
		t = &s->trunk[k];
		if (t->up)
			log_link(t->up, mux_lane_mark(k));
		if (t->vsock_port)
			gi_notice("vsock%s: port=%" PRIu32 " strangers=%" PRIu64, mux_lane_mark(k),
				t->vsock_port, t->strangers);
	}
	HASH_ITER (hh, s->guests, g, next)
		for (enum mux_lane_id k = 0; k < MUX_LANES; k++)
			if (k != MUX_LANE_FILE || s->conf.file_lane)
				log_lane(&g->lane[k]);
}
