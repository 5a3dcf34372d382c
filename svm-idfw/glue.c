/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * glue.c - who calls whom: engine, store, directory, control socket, and the policy's way in
 *
 * Runs in svm-idfw's main process. Every call into the engine is preceded by svm_round(): the
 * clock is set and one flush is planned for the end of the loop's round, so that all that one
 * round brought goes out as one delta a VM. A policy is checked for every VM, written to disk,
 * then used, in that order.
 */
#include "svm-idfw/svm.h"

#include "svm-idfw/collide.h"

#include <stdlib.h>
#include <string.h>

#define DIAG_MAX (1u << 20)
#define HOLD_LOOK_MS 5

static void hold_cb(struct io_timer *w);

static void tick_cb(struct io_timer *w)
{
	struct svm *s = w->arg;

	s->tick_at_ms = 0;
	svm_round(s);
}

/*
 * Logins can come faster than the disk takes them. Half a queue of records stops the reading from
 * the muxes until an eighth is left; they hold their guests back in turn, nothing is refused. Not
 * while the database fails: that may last, and logins must go on being enforced.
 */
static void pressure(struct svm *s)
{
	struct idfw_store_stats st;
	bool hold;

	idfw_store_stats(s->store, &st);
	hold = st.err == 0 && st.queued > (s->holding ? STORE_QUEUE_MAX / 8 : STORE_QUEUE_MAX / 2);
	if (hold == s->holding)
		return;
	s->holding = hold;
	idfw_guests_hold(s->guests, hold);
	if (!hold) {
		io_timer_stop(s->loop, &s->hold);
		return;
	}
	if (!s->holds++)
		gi_notice("logins come faster than the disk takes them: muxes are held back");
	io_timer_start(s->loop, &s->hold, HOLD_LOOK_MS, HOLD_LOOK_MS, hold_cb, s);
}

static void hold_cb(struct io_timer *w)
{
	pressure(w->arg);
}

/* for a restart while the directory is away: how old is what it said? */
static void keep_as_of(struct svm *s)
{
	size_t n;
	const struct idfw_as_of *a = idfw_engine_as_of(s->engine, &n);

	for (size_t i = 0; i < n; i++)
		if (a[i].real_ms != s->as_of_ms[i] && idfw_store_put_as_of(s->store, &a[i]) == 0)
			s->as_of_ms[i] = a[i].real_ms;
}

static void flush_cb(struct io_idle *w)
{
	struct svm *s = w->arg;
	uint64_t now = io_clock_mono_ms(), next;

	pressure(s);

	idfw_engine_clock(s->engine, now, io_clock_real_ms());
	next = idfw_engine_tick(s->engine);
	idfw_engine_flush(s->engine);
	keep_as_of(s);
	if (next == s->tick_at_ms)
		return;
	io_timer_stop(s->loop, &s->tick);
	s->tick_at_ms = next;
	if (next)
		io_timer_start(s->loop, &s->tick, next > now ? next - now : 1, 0, tick_cb, s);
}

void svm_round(void *arg)
{
	struct svm *s = arg;

	idfw_engine_clock(s->engine, io_clock_mono_ms(), io_clock_real_ms());
	io_idle_once(s->loop, &s->flush, flush_cb, s);
}

/* ---- engine -> others ---- */

static int out_store(void *arg, const struct idfw_record *r)
{
	struct svm *s = arg;
	int err = idfw_store_put(s->store, r);

	if (err < 0 && !s->store_full)
		gi_err("the database takes no records: %s; agents keep their events",
			gi_strerror(err));
	else if (err == 0 && s->store_full)
		gi_notice("the database takes records again");
	s->store_full = err < 0;
	return err;
}

static int out_lookup(void *arg, struct idfw_principal *p)
{
	struct svm *s = arg;

	return s->dirs ? idfw_dirs_lookup(s->dirs, p->key, p->user, p->names_in, p) : -GI_ENOTFOUND;
}

static void out_hurry(void *arg, const struct idfw_principal *p)
{
	struct svm *s = arg;

	if (s->dirs)
		idfw_dirs_hurry(s->dirs, p->key);
}

static void out_send(void *arg, struct idfw_vm *vm, const Idfw__Envelope *e)
{
	idfw_guests_send(((struct svm *)arg)->guests, vm, e);
}

static int out_state(void *arg, struct idfw_vm *vm, const struct fw_state *st)
{
	return idfw_guests_send_state(((struct svm *)arg)->guests, vm, st);
}

static int out_delta(void *arg, struct idfw_vm *vm, const struct fw_delta *d)
{
	return idfw_guests_send_delta(((struct svm *)arg)->guests, vm, d);
}

static void out_close(void *arg, struct idfw_vm *vm, const char *why)
{
	idfw_guests_close(((struct svm *)arg)->guests, vm, why);
}

static bool domain_known(const void *arg, const char *domain)
{
	const struct svm_conf *c = &((const struct svm *)arg)->conf;

	return dir_route_known(c->directories.elems, c->directories.n, domain);
}

static bool domain_has(const void *arg, const char *label, const char *dn, const char *domain)
{
	const struct svm_conf *c = &((const struct svm *)arg)->conf;

	return dir_route_has(c->directories.elems, c->directories.n, label, dn, domain);
}

static const char *vm_directory(const void *arg, const char *vm)
{
	return dir_vm_rule(&((const struct svm *)arg)->conf.vm_rules, vm);
}

int svm_engine_start(struct svm *s, const uint64_t seed[2])
{
	struct idfw_engine_conf conf = { .min_uid = (uint32_t)s->conf.min_uid,
		.ready_timeout_ms = s->conf.ready_timeout_ms,
		.sessions_max = (uint32_t)s->conf.sessions_max,
		.events_max = (uint32_t)s->conf.events_max,
		.push_deadline_ms = s->conf.push_deadline_ms,
		.isolate_max = (uint32_t)s->conf.isolate_max,
		.never_isolate = (const char *const *)s->conf.never_isolate.items,
		.n_never_isolate = s->conf.never_isolate.n,
		.seed = { seed[0], seed[1] },
		.domains = { domain_known, domain_has, s },
		.vm_directory = vm_directory,
		.vm_directory_arg = s };
	struct idfw_out out = { .arg = s,
		.send = out_send,
		.send_state = out_state,
		.send_delta = out_delta,
		.close_guest = out_close,
		.lookup = out_lookup,
		.hurry = out_hurry,
		.store = out_store };
	int r = idfw_engine_new(&conf, &out, &s->engine);

	if (r == 0)
		idfw_engine_clock(s->engine, io_clock_mono_ms(), io_clock_real_ms());
	return r;
}

/* ---- store -> engine ---- */

static void store_durable(void *arg, const char *vm_name, const uint8_t boot_id[16], uint64_t seq)
{
	struct svm *s = arg;
	struct idfw_vm *vm = idfw_engine_vm(s->engine, vm_name);

	if (!vm)
		return;
	svm_round(s);
	idfw_engine_durable(s->engine, vm, boot_id, seq);
}

static void store_state(void *arg, int err, const char *why)
{
	(void)arg;
	if (err < 0)
		gi_err("database: %s: %s", why, gi_strerror(err));
	else
		gi_notice("database: %s", why);
}

static void store_scan_durable(void *arg, const uint8_t outbox[16], uint64_t seq)
{
	struct svm *s = arg;

	if (idfw_engine_scan_durable(s->engine, outbox, seq))
		idfw_guests_scan_durable(s->guests, outbox, seq);
}

const struct idfw_store_ops svm_store_ops = {
	.durable = store_durable, .scan_durable = store_scan_durable, .state = store_state
};

/* ---- directory -> engine ---- */

static void dir_principal(void *arg, const char *key, const struct idfw_principal *found)
{
	struct svm *s = arg;
	struct idfw_principal copy = *found;

	svm_round(s);
	idfw_engine_principal(s->engine, key, found);
	if (found->presence != IDFW_P_FOUND && found->presence != IDFW_P_NOT_FOUND)
		return;
	copy.key = (char *)(uintptr_t)key;
	copy.resolved_ms = io_clock_real_ms();
	if (idfw_store_put_principal(s->store, &copy) < 0)
		gi_debug("groups of %s are not kept for a restart", key);
}

static void dir_changed(void *arg, const char *label, const struct idfw_changes *c)
{
	struct svm *s = arg;
	const struct idfw_dir_conf *d = s->conf.directories.elems;
	const char *trusted_by[DIR_SET_MAX];
	struct idfw_changes of = *c;

	of.directory = label;
	of.trusted_by = trusted_by;
	for (size_t i = 0; i < s->conf.directories.n; i++)
		if (dir_route_trusts(&d[i], label))
			trusted_by[of.n_trusted_by++] = d[i].label;
	svm_round(s);
	idfw_engine_directory_changed(s->engine, &of);
}

static void dir_state(void *arg, const char *label, bool up, const char *why)
{
	struct svm *s = arg;

	svm_round(s);
	idfw_engine_directory_state(s->engine, label, up, why);
}

static void dir_collision(
	void *arg, const char *name, const char *const labels[2], const char *const ids[2])
{
	struct idfw_place at[2];
	struct svm *s = arg;

	for (size_t i = 0; i < 2; i++)
		at[i] = (struct idfw_place){ .directory = (char *)(uintptr_t)labels[i],
			.id = (char *)(uintptr_t)ids[i] };
	svm_round(s);
	idfw_engine_collision(s->engine, IDFW_COLLIDE_NAME, name, at);
}

const struct idfw_dirs_ops svm_dirs_ops = { .principal = dir_principal,
	.changed = dir_changed,
	.state = dir_state,
	.collision = dir_collision };

/* ---- policy ---- */

static const struct pol_domains *ctl_domains(void *arg)
{
	struct svm *s = arg;

	s->domains = (struct pol_domains){ domain_known, domain_has, s };
	return &s->domains;
}

static void policy_record(
	struct svm *s, uint64_t generation, const char *by, const struct pol_policy *p)
{
	struct idfw_record r = { .kind = IDFW_REC_POLICY, .time_ms = io_clock_real_ms(), .vm = "" };
	struct gi_buf b;

	gi_buf_init(&b, 4096);
	gi_buf_printf(&b, "{\"generation\":%llu,\"groups\":%zu,\"by\":\"",
		(unsigned long long)generation, pol_group_count(p));
	for (const char *c = by; *c; c++)
		gi_buf_printf(&b, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	gi_buf_printf(&b, "\"}");
	r.detail = gi_buf_str(&b);
	if (out_store(s, &r) < 0)
		gi_err("the record of policy %llu was not taken", (unsigned long long)generation);
	gi_buf_fini(&b);
}

/* the policy is used from here on; it is already on disk */
static int policy_use(struct svm *s, struct pol_policy *p, uint64_t generation, const char *by)
{
	int r;

	svm_round(s);
	r = idfw_engine_policy(s->engine, p, generation);
	if (r < 0)
		return r;
	gi_notice("policy generation %llu, by %s", (unsigned long long)generation, by);
	return 0;
}

/* @taken: it was in force before: a domain that no directory has any more is nobody's, and told */
static int policy_parse(struct svm *s, const char *name, const char *text, size_t len, bool taken,
	struct gi_buf *out, struct pol_policy **ret)
{
	struct conf_diags diags;
	int r;

	conf_diags_init(&diags, name, text, len);
	r = pol_parse(text, len, &diags, ret);
	if (r == 0 && pol_domains_check(*ret, ctl_domains(s), &diags) && !taken) {
		pol_free(*ret);
		*ret = NULL;
		r = -GI_ESYNTAX;
	}
	conf_diags_render(&diags, out);
	conf_diags_fini(&diags);
	return r;
}

static int commit(struct svm *s, struct pol_policy *p, const char *text, size_t len, const char *by,
	uint64_t *ret_generation)
{
	uint64_t generation = 0, stored = 0;
	char *stored_text = NULL;
	size_t stored_len = 0;
	int r;

	(void)idfw_engine_policy_now(s->engine, &generation);
	if (idfw_store_get_policy(s->store, &stored, &stored_text, &stored_len) == 0) {
		free(stored_text);
		generation = stored > generation ? stored : generation;
	}
	generation++;
	r = idfw_engine_policy_check(s->engine, p, generation);
	if (r == 0)
		r = idfw_store_put_policy(s->store, generation, by, io_clock_real_ms(), text, len);
	if (r == 0) {
		policy_record(s, generation, by, p);
		r = policy_use(s, p, generation, by);
	}
	if (r == 0 && ret_generation)
		*ret_generation = generation;
	return r;
}

static int ctl_policy_commit(void *arg, const char *text, size_t len, const char *by,
	struct gi_buf *out, uint64_t *ret_generation)
{
	struct pol_policy *p = NULL;
	int r = policy_parse(arg, "policy", text, len, false, out, &p);

	if (r < 0)
		return r;
	r = commit(arg, p, text, len, by, ret_generation);
	if (r < 0)
		pol_free(p);
	return r;
}

static void ctl_links(void *arg, void (*cb)(void *cb_arg, const char *json_row), void *cb_arg)
{
	idfw_guests_links(((struct svm *)arg)->guests, cb, cb_arg);
}

static struct idfw_dir *ctl_directory(void *arg, size_t i)
{
	struct svm *s = arg;

	return s->dirs ? idfw_dirs_get(s->dirs, i) : NULL;
}

static int ctl_route(void *arg, const char *name, const char *names_in,
	char ret_name[DIR_NAME_MAX + 1], struct dir_route *ret)
{
	const struct svm_conf *c = &((struct svm *)arg)->conf;
	int err = dir_map_apply(&c->name_maps, name, ret_name);

	if (err == 0)
		dir_route(c->directories.elems, c->directories.n, ret_name, names_in, ret);
	return err;
}

const struct idfw_ctl_ops svm_ctl_ops = { .round = svm_round,
	.policy_commit = ctl_policy_commit,
	.links = ctl_links,
	.directory = ctl_directory,
	.route = ctl_route,
	.domains = ctl_domains };

static int policy_from_file(struct svm *s, struct gi_buf *out)
{
	struct pol_policy *p = NULL;
	char *text = NULL;
	size_t len = 0;
	int r = conf_read_file(s->conf.policy, CTL_POLICY_MAX, &text, &len);

	if (r < 0) {
		gi_err("%s: %s", s->conf.policy, gi_strerror(r));
		return r;
	}
	r = policy_parse(s, s->conf.policy, text, len, false, out, &p);
	if (r == 0) {
		r = commit(s, p, text, len, s->conf.policy, NULL);
		if (r < 0)
			pol_free(p);
	}
	free(text);
	return r;
}

int svm_policy_start(struct svm *s)
{
	struct pol_policy *p = NULL;
	uint64_t generation = 0;
	struct gi_buf out;
	char *text = NULL;
	size_t len = 0;
	int r;

	gi_buf_init(&out, DIAG_MAX);
	r = idfw_store_get_policy(s->store, &generation, &text, &len);
	if (r == 0) {
		r = policy_parse(s, "committed policy", text, len, true, &out, &p);
		if (r == 0 && out.len)
			gi_warn("the committed policy:\n%s", gi_buf_str(&out));
		if (r == 0)
			r = policy_use(s, p, generation, "the database");
		if (r < 0)
			pol_free(p);
	} else if (r == -GI_ENOTFOUND) {
		r = policy_from_file(s, &out);
	}
	if (r < 0)
		gi_err("no policy: %s\n%s", gi_strerror(r), gi_buf_str(&out));
	gi_buf_fini(&out);
	free(text);
	return r;
}
