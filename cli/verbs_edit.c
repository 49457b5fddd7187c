/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/policy_file.h"
#include "ctl.h"
#include "draft.h"
#include "net/local_addresses.h"
#include "output.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* edit: an editor on a copy, check, diff, and a reload that waits for confirm. */

enum { ANSWER_SIZE = 64, DAY_S = 24 * 60 * 60 };

enum step { STEP_EDIT, STEP_CHECK, STEP_APPLY, STEP_QUIT };

struct edit {
	struct ctl *ctl;    /* what is for people goes to its screen */
	const char *path;   /* as the daemon has it: what the file names is found from there */
	json_t *parameters; /* of the reload */
	struct draft draft;
	bool keep_copy; /* of what could not be applied */
	bool installed, confirmed;
	int status;
};

static volatile sig_atomic_t stopped;

static void on_stop(int number)
{
	(void)number;
	stopped = 1;
}

/* What ends a terminal ends a question, and what was asked for is put back. */
static void take_signals(void)
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGTERM };
	struct sigaction action = { .sa_handler = on_stop };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The first word that comes, of one line; "" where none comes any more, or not until then (0: for as long as it takes).
 */
static void ask(const struct edit *edit, int64_t until_ms, const char *question, char answer[ANSWER_SIZE])
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	size_t length = 0;

	fflush(edit->ctl->environment->out);
	fputs(question, edit->ctl->environment->err);
	fflush(edit->ctl->environment->err);
	answer[0] = '\0';
	while (!stopped) {
		int64_t left = until_ms ? until_ms - now_ms() : 1000;
		int n = left > 0 ? poll(&input, 1, (int)(left < 1000 ? left : 1000)) : 0;
		if (left <= 0 || (n < 0 && errno != EINTR))
			break;
		char byte;
		ssize_t got = n > 0 ? read(STDIN_FILENO, &byte, 1) : 1;
		if (got <= 0)
			break;
		if (n <= 0)
			continue;
		if (byte == '\n') {
			answer[length] = '\0';
			return;
		}
		if (length < ANSWER_SIZE - 1)
			answer[length++] = byte;
	}
	answer[0] = '\0';
	fputc('\n', edit->ctl->environment->err);
}

static enum step fail(struct edit *edit, const char *path, int r)
{
	ctl_error(edit->ctl, "%s: %s", path, strerror(-r));
	edit->status = EXIT_FAILED;
	return STEP_QUIT;
}

static enum step what_now(struct edit *edit)
{
	char answer[ANSWER_SIZE];

	for (;;) {
		ask(edit, 0, "What now? (e)dit again, (q)uit without a change: ", answer);
		if (answer[0] == 'e')
			return STEP_EDIT;
		if (answer[0] == 'q' || !answer[0])
			break;
	}
	edit->status = EXIT_FAILED;
	return STEP_QUIT;
}

static enum step edit_copy(struct edit *edit)
{
	int r = draft_edit(&edit->draft);

	if (stopped)
		return STEP_QUIT;
	if (r != 0) {
		if (r < 0)
			ctl_error(edit->ctl, "the editor can't be run: %s", strerror(-r));
		else
			ctl_error(edit->ctl, "the editor has failed: exit status %d", r);
		return what_now(edit);
	}
	r = draft_changed(&edit->draft);
	if (r < 0)
		return fail(edit, edit->draft.copy, r);
	return r ? STEP_CHECK : STEP_QUIT;
}

/* Judged as the file that it is to be. */
static bool is_good(const struct edit *edit, struct archive *files)
{
	const struct ctl *ctl = edit->ctl;
	const char *path = edit->path;
	struct policy_file file = { 0 };
	struct ranges own = { 0 };
	struct diags diags = { 0 };

	int r = local_addresses(&own);
	struct policy_source source = {
		.draft = edit->draft.copy, .gateway = r == 0 ? &own : NULL, .copy = files, .programs = true
	};
	r = policy_file_load(&file, path, &source, &diags);
	ranges_free(&own);
	if (r < 0 && !diags_failed(&diags))
		ctl_error(ctl, "%s: %s", path, strerror(-r));
	else
		output_text.check(ctl, path, &file.policy, &diags);
	diags_free(&diags);
	if (r == 0)
		policy_file_free(&file);
	return r == 0;
}

/* What it would change, if the daemon can tell. */
static bool show_diff(const struct edit *edit, const struct archive *files)
{
	json_t *parameters = diff_parameters(edit->ctl, files), *reply = NULL;

	if (!parameters)
		return true; /* too large to be sent: that was reported */
	if (ctl_need_method(edit->ctl, SPEFW_METHOD("Diff"), parameters, &reply) != EXIT_DONE)
		return false;
	text_diff(edit->ctl, reply);
	json_decref(reply);
	return true;
}

static enum step check_copy(struct edit *edit)
{
	struct archive files = { 0 };
	char answer[ANSWER_SIZE];

	bool good = is_good(edit, &files) && show_diff(edit, &files);
	archive_free(&files);
	if (!good)
		return stopped ? STEP_QUIT : what_now(edit);
	for (;;) {
		ask(edit, 0, "Apply it? (y)es, (e)dit again, (q)uit without a change: ", answer);
		if (answer[0] == 'y')
			return STEP_APPLY;
		if (answer[0] == 'e')
			return STEP_EDIT;
		if (answer[0] == 'q' || !answer[0])
			break;
	}
	edit->status = EXIT_FAILED;
	return STEP_QUIT;
}

static void put_back(struct edit *edit)
{
	int r = draft_put_back(&edit->draft);

	edit->keep_copy = r == 0;
	edit->installed = r < 0;
	edit->status = EXIT_FAILED;
	if (r < 0)
		ctl_error(edit->ctl, "%s can't be put back: %s (what it was before is in %s)", edit->draft.path,
			  strerror(-r), edit->draft.former);
	else
		ctl_error(edit->ctl, "%s is as it was before: what you wrote is in %s", edit->draft.path,
			  edit->draft.copy);
}

/* On the terminal, within that time; what comes later, or never, is no. */
static void ask_to_confirm(struct edit *edit, int64_t left_s)
{
	int64_t until_ms = now_ms() + left_s * 1000;
	char question[128], answer[ANSWER_SIZE];
	json_t *reply = NULL;

	snprintf(question, sizeof(question),
		 "Does all work? It stays if you write yes within %lld s, else it is undone: ", (long long)left_s);
	do
		ask(edit, until_ms, question, answer);
	while (answer[0] && strcmp(answer, "yes") != 0 && strcmp(answer, "no") != 0);
	if (strcmp(answer, "yes") == 0 &&
	    ctl_need_method(edit->ctl, SPEFW_METHOD("Confirm"), NULL, &reply) == EXIT_DONE) {
		edit->confirmed = true;
		json_decref(reply);
		return;
	}
	int64_t left_ms = until_ms - now_ms();
	if (left_ms > 0)
		ctl_error(edit->ctl, "not confirmed: spefwd undoes it in %lld s", (long long)(left_ms + 999) / 1000);
	else
		ctl_error(edit->ctl, "not confirmed: spefwd undoes it now");
	put_back(edit);
}

static enum step apply(struct edit *edit)
{
	json_t *reply = NULL;
	int r = draft_install(&edit->draft);

	if (r == -ESTALE) {
		ctl_error(edit->ctl, "%s was changed by somebody else meanwhile: what you wrote is in %s",
			  edit->draft.path, edit->draft.copy);
		edit->keep_copy = true;
		edit->status = EXIT_FAILED;
		return STEP_QUIT;
	}
	if (r < 0)
		return fail(edit, edit->draft.path, r);
	edit->installed = true;
	if (ctl_need_method(edit->ctl, SPEFW_METHOD("Reload"), json_incref(edit->parameters), &reply) != EXIT_DONE) {
		put_back(edit);
		return STEP_QUIT;
	}
	text_reload(edit->ctl, reply);
	int64_t left_s = json_number_of(reply, "confirm_s");
	json_decref(reply);
	if (left_s > 0)
		ask_to_confirm(edit, left_s < DAY_S ? left_s : DAY_S);
	else
		edit->confirmed = true; /* nothing that waits */
	if (edit->confirmed)
		draft_keep(&edit->draft);
	return STEP_QUIT;
}

/* A reload reads the daemon's file. Its path is compared, and not opened. */
static bool is_file_of_daemon(struct edit *edit, const json_t *status)
{
	const char *path = ctl_value(edit->ctl, OPTION_CONFIG),
		   *other = json_text_of(json_object_get(status, "config"), "path");

	edit->path = strcmp(other, path) == 0 ? path : strcmp(other, edit->draft.path) == 0 ? edit->draft.path : NULL;
	if (!edit->path)
		ctl_error(edit->ctl, "spefwd goes by another file: spefwctl edit -c %s", other);
	return edit->path;
}

static int run_steps(struct edit *edit, const json_t *status)
{
	enum step step = STEP_EDIT;

	edit->status = EXIT_DONE;
	if (!is_file_of_daemon(edit, status))
		return EXIT_FAILED;
	take_signals();
	while (step != STEP_QUIT && !stopped)
		step = step == STEP_EDIT ? edit_copy(edit) : step == STEP_CHECK ? check_copy(edit) : apply(edit);
	/* Who lost the terminal has not lost the text. */
	if (stopped && !edit->installed && draft_changed(&edit->draft) == 1)
		edit->keep_copy = true;
	return stopped && !edit->confirmed ? EXIT_FAILED : edit->status;
}

void text_edit(const struct ctl *ctl, const json_t *reply)
{
	if (!json_truth_of(reply, "changed"))
		fputs("nothing was changed\n", ctl->screen.file);
	else if (json_truth_of(reply, "confirmed"))
		fputs("it stays in force\n", ctl->screen.file);
}

int verb_edit(struct ctl *ctl)
{
	const char *path = ctl_value(ctl, OPTION_CONFIG);
	struct ctl people = *ctl;
	struct edit edit = { .ctl = &people, .status = EXIT_FAILED };
	json_t *status = NULL;

	if (!ctl->environment->root)
		return ctl_denied(ctl, NULL);
	if (!isatty(STDIN_FILENO)) {
		ctl_error(ctl,
			  "edit needs a terminal: change the file, then spefwctl check, diff, and reload --confirm");
		return EXIT_FAILED;
	}
	edit.parameters = ctl_confirm(ctl, json_object(), true);
	if (!edit.parameters)
		return EXIT_USAGE;
	int r = ctl_need(ctl, NULL, &status);
	if (r != EXIT_DONE) {
		json_decref(edit.parameters);
		return r;
	}
	if (ctl->values[OPTION_JSON])
		people.screen = screen_of(ctl->environment->err);
	r = draft_new(&edit.draft, path);
	if (r == 0)
		edit.status = run_steps(&edit, status);
	else if (r == -EBUSY)
		ctl_error(ctl, "somebody else edits %s: wait until that has ended", path);
	else if (r == -ENOENT)
		ctl_error(ctl, "%s is missing: spefwctl config >%s brings back what is in force", path, path);
	else
		ctl_error(ctl, "%s can't be copied: %s", path, strerror(-r));
	draft_free(&edit.draft, edit.keep_copy);
	json_decref(edit.parameters);
	json_decref(status);
	if (r < 0)
		return EXIT_FAILED;
	json_t *reply = json_pack("{s:b, s:b}", "changed", edit.installed, "confirmed", edit.confirmed);
	ctl->output->reply(ctl, reply);
	json_decref(reply);
	return edit.status;
}
