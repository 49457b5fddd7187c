/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/notice.h"
#include "clock.h"
#include "core/health_note.h"
#include "log.h"
#include "state_file.h"
#include "timer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	SETTLE_MS = 15 * 1000,       /* a start, and a name that fails for a moment, are no news */
	SETTLE_FAILED_MS = 1 * 1000, /* not guarded */
	AGAIN_MS = 60 * 1000,
	FILE_MODE = 0640, /* the group's members may read what they may ask for */
};

struct notice {
	const char *path;
	struct timer *timer;
	int64_t due_ms;
	void (*look)(void *userdata, struct health *ret);
	void *userdata;
	uint64_t written_codes;
	bool written, again; /* it was; and is to be once more */
	bool failing;        /* that was logged */
};

static int write_note(const struct notice *notice, const struct health *health)
{
	char *text = health_note_write(health);
	const char *slash = strrchr(notice->path, '/');
	char *directory = slash ? strndup(notice->path, (size_t)(slash - notice->path) + 1) : strdup(".");

	int r = -ENOMEM;
	if (text && directory)
		r = state_save_mode(directory, slash ? slash + 1 : notice->path, text, strlen(text), FILE_MODE);
	free(text);
	free(directory);
	return r;
}

static void set_timer(struct notice *notice, int64_t after_ms)
{
	notice->due_ms = now_ms() + after_ms;
	timer_set(notice->timer, after_ms);
}

static bool is_news(const struct notice *notice, const struct health *health)
{
	return !notice->written || health_mask(health) != notice->written_codes;
}

static void on_due(void *userdata)
{
	struct notice *notice = userdata;
	struct health health;

	notice->look(notice->userdata, &health);
	bool news = is_news(notice, &health);
	int r = news || notice->again ? write_note(notice, &health) : 0;
	if (r < 0) {
		if (!notice->failing)
			log_warning("%s can't be written, changes of health are not reported: %s", notice->path,
				    strerror(-r));
		set_timer(notice, AGAIN_MS);
	} else if (news) {
		notice->written = true;
		notice->written_codes = health_mask(&health);
		set_timer(notice, AGAIN_MS);
	}
	notice->failing = r < 0;
	notice->again = r == 0 && news;
	health_free(&health);
}

int notice_new(struct notice **ret, sd_event *event, const char *path, void (*look)(void *userdata, struct health *ret),
	       void *userdata)
{
	struct notice *notice = calloc(1, sizeof(*notice));

	if (!notice)
		return -ENOMEM;
	notice->path = path;
	notice->look = look;
	notice->userdata = userdata;
	int r = timer_new(&notice->timer, event, SD_EVENT_PRIORITY_NORMAL, on_due, notice);
	if (r < 0) {
		free(notice);
		return r;
	}
	*ret = notice;
	return 0;
}

void notice_free(struct notice *notice)
{
	if (!notice)
		return;
	timer_free(notice->timer);
	free(notice);
}

void notice_health(struct notice *notice, const struct health *health)
{
	int64_t settle = strcmp(health_word(health), "failed") == 0 ? SETTLE_FAILED_MS : SETTLE_MS;

	if (is_news(notice, health) && (!timer_is_set(notice->timer) || notice->due_ms > now_ms() + settle))
		set_timer(notice, settle);
}

void notice_stop(struct notice *notice, const struct health *health)
{
	int r = notice->written ? write_note(notice, health) : 0;

	if (r < 0)
		log_warning("%s can't be written: %s", notice->path, strerror(-r));
	timer_stop(notice->timer);
}
