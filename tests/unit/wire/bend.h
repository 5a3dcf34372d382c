/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bend.h - for the tests of limits: a sample with one field bent is accepted or refused
 *
 * Included once, by test_check.c and by test_check_file.c, behind cmocka.h. Each macro takes a
 * fresh set of samples.
 */
#ifndef TESTS_UNIT_WIRE_BEND_H
#define TESTS_UNIT_WIRE_BEND_H

#include "lib/wire/check.h"
#include "tests/unit/wire/samples.h"

static struct sample all[SAMPLES];
static char long_text[WIRE_JSON_MAX + 2]; /* 'x', cut by each case */
static char dirty[] = "evil\nline", not_utf8[] = "\xff\xfe";
static char nothing[] = "";

static Idfw__Envelope *fresh(int body)
{
	samples_init(all);
	for (size_t i = 0; i < SAMPLES; i++)
		if (all[i].body == body)
			return &all[i].e;
	fail();
	return NULL;
}

static char *text_of(size_t len)
{
	memset(long_text, 'x', sizeof(long_text));
	assert_true(len < sizeof(long_text));
	long_text[len] = '\0';
	return long_text;
}

#define REFUSES(err, e)                                               \
	do {                                                          \
		const char *why_ = NULL;                              \
		assert_int_equal(wire_check_envelope(e, &why_), err); \
		assert_non_null(why_);                                \
	} while (0)
#define ACCEPTS(e)                                                  \
	do {                                                        \
		const char *why_ = NULL;                            \
		assert_int_equal(wire_check_envelope(e, &why_), 0); \
	} while (0)
/* the longest text passes; one byte more, control characters and broken UTF-8 do not */
#define TEXT_LIMIT(BODY, path, max)                                      \
	do {                                                             \
		Idfw__Envelope *e_ = fresh(IDFW__ENVELOPE__BODY_##BODY); \
		e_->path = text_of(max);                                 \
		ACCEPTS(e_);                                             \
		e_->path = text_of((max) + 1);                           \
		REFUSES(-GI_EPROTO, e_);                                 \
		e_->path = dirty;                                        \
		REFUSES(-GI_EPROTO, e_);                                 \
		e_->path = not_utf8;                                     \
		REFUSES(-GI_EPROTO, e_);                                 \
	} while (0)
#define VALUE(BODY, path, good, wrong, err)                              \
	do {                                                             \
		Idfw__Envelope *e_ = fresh(IDFW__ENVELOPE__BODY_##BODY); \
		e_->path = (good);                                       \
		ACCEPTS(e_);                                             \
		e_->path = (wrong);                                      \
		REFUSES(err, e_);                                        \
	} while (0)
#define COUNT(BODY, field, n_field, max)                                 \
	do {                                                             \
		Idfw__Envelope *e_ = fresh(IDFW__ENVELOPE__BODY_##BODY); \
		__typeof__(e_->field[0]) many_[(max) + 1];               \
		for (size_t i_ = 0; i_ < GI_ARRAY_SIZE(many_); i_++)     \
			many_[i_] = e_->field[0];                        \
		e_->field = many_;                                       \
		e_->n_field = (max);                                     \
		ACCEPTS(e_);                                             \
		e_->n_field = (max) + 1;                                 \
		REFUSES(-GI_ELIMIT, e_);                                 \
	} while (0)

#endif
