/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "init.h"
#include "core/addr.h"
#include "core/config.h"
#include "core/diag.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What `spefwctl init` asks on a terminal. An answer that may be left out is offered where this gateway knows it. */

struct question {
	enum ctl_option option;
	const char *section, *key; /* of the configuration, whose reader judges the answer */
	const char *text;
	char *(*usual)(void); /* the caller's; NULL: nothing is known, and none is needed */
	bool required;
};

static char *of_session(void);
static char *of_resolv_conf(void);

static const struct question questions[] = {
	{ OPTION_SERVER, "server", "address", "Addresses of the MailStore SPE server", NULL, true },
	{ OPTION_ADM, "role ADM", "members", "Addresses and networks of its administrators", of_session, false },
	{ OPTION_RESOLVERS, "server", "resolvers", "DNS servers that it queries", of_resolv_conf, false },
	{ OPTION_TIME, "server", "time_servers", "Its time servers", NULL, false },
};

/* Where whoever asks comes from, by ssh: "ADDRESS PORT ADDRESS PORT". */
static char *of_session(void)
{
	const char *connection = getenv("SSH_CONNECTION");
	struct addr addr;

	char *peer = connection ? strndup(connection, strcspn(connection, " ")) : NULL;
	if (peer && addr_parse(peer, &addr))
		return peer;
	free(peer);
	return NULL;
}

/* A resolver of this gateway's own, on its loopback, is none for the server. */
static bool is_loopback(const struct addr *addr)
{
	static const struct addr loopback = { .family = FAMILY_6, .bytes = { [15] = 1 } };

	return addr->family == FAMILY_4 ? addr->bytes[0] == 127 : addr_compare(addr, &loopback) == 0;
}

/* The DNS servers of this gateway, which are often those of its networks. */
static char *of_resolv_conf(void)
{
	char *line = NULL, *list = NULL, word[ADDR_TEXT_MAX];
	size_t capacity = 0, length;
	struct addr addr;

	FILE *file = fopen("/etc/resolv.conf", "re"), *out = open_memstream(&list, &length);
	while (file && out && getline(&line, &capacity, file) >= 0)
		if (sscanf(line, "nameserver %45s", word) == 1 && addr_parse(word, &addr) && !is_loopback(&addr))
			fprintf(out, "%s%s", ftell(out) ? " " : "", word);
	free(line);
	if (file)
		fclose(file);
	if (out && fclose(out) == 0 && *list)
		return list;
	free(list);
	return NULL;
}

/* A file that an answer names is read when all of it is judged. */
static int read_nothing(void *userdata, const char *path, char **ret_bytes, size_t *ret_length)
{
	(void)userdata, (void)path;
	*ret_bytes = calloc(1, 1);
	*ret_length = 0;
	return *ret_bytes ? 0 : -ENOMEM;
}

/* Whether the configuration's reader takes the answer; what is wrong with it is shown. */
static bool is_good(const struct ctl *ctl, const struct question *question, const char *answer)
{
	struct config config;
	struct diags diags = { 0 };

	if (!init_is_list(answer)) {
		fputs("  addresses and networks, with spaces between\n", ctl->environment->out);
		return false;
	}
	int r = config_init(&config, "");
	if (r == 0)
		r = config_section(&config, question->section, 1, &diags);
	if (r == 0)
		r = config_key(&config, question->section, question->key, answer, 1, read_nothing, NULL, &diags);
	for (size_t i = 0; i < diags.count; i++)
		fprintf(ctl->environment->out, "  %s\n", diags.items[i].text);
	bool good = r == 0 && !diags_failed(&diags);
	config_free(&config);
	diags_free(&diags);
	return good;
}

/* A line without the space around it; the caller's, NULL at the end of input. */
static char *read_line(const struct ctl *ctl)
{
	char *line = NULL;
	size_t capacity = 0;

	fflush(ctl->environment->out);
	ssize_t length = getline(&line, &capacity, stdin);
	if (length < 0) {
		fputc('\n', ctl->environment->out);
		free(line);
		return NULL;
	}
	while (length > 0 && isspace((unsigned char)line[length - 1]))
		line[--length] = '\0';
	size_t space = strspn(line, " \t");
	memmove(line, line + space, (size_t)length - space + 1);
	return line;
}

/* EXIT_DONE with *ret the answer, the caller's, or NULL where there is to be none. */
static int ask(const struct ctl *ctl, const struct question *question, char **ret)
{
	FILE *out = ctl->environment->out;
	char *usual = question->usual ? question->usual() : NULL, *answer;

	for (;;) {
		fprintf(out, "%s", question->text);
		if (!question->required)
			fprintf(out, " [%s]", usual ? usual : "none");
		fputs(": ", out);
		answer = read_line(ctl);
		if (!answer)
			break;
		if (!*answer && !question->required) {
			free(answer);
			*ret = usual;
			return EXIT_DONE;
		}
		if (strcmp(answer, "none") == 0 && !question->required) {
			free(answer);
			free(usual);
			*ret = NULL;
			return EXIT_DONE;
		}
		if (*answer && is_good(ctl, question, answer))
			break;
		free(answer);
	}
	free(usual);
	*ret = answer;
	return answer ? EXIT_DONE : EXIT_FAILED;
}

bool init_can_ask(const struct ctl *ctl)
{
	return ctl->screen.terminal && isatty(STDIN_FILENO) && !ctl->values[OPTION_JSON];
}

int init_ask(struct ctl *ctl, char *storage[OPTIONS])
{
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		enum ctl_option option = questions[i].option;
		if (ctl->values[option])
			continue;
		if (ask(ctl, &questions[i], &storage[option]) != EXIT_DONE) {
			ctl_error(ctl, "no answer: nothing is written");
			return EXIT_FAILED;
		}
		ctl->values[option] = storage[option];
	}
	return EXIT_DONE;
}

/* What is in use, and by name what waits in comments. */
static void show(FILE *out, const char *text)
{
	const char *waits = "\nIn comments, for when they are needed:";

	for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
		int length = (int)strcspn(line, "\n");
		if (length && line[0] != ';')
			fprintf(out, "%s%.*s\n", line[0] == '[' ? "\n" : "", length, line);
	}
	for (const char *flow = text; (flow = strstr(flow, ";[flow ")); waits = ",") {
		flow += strlen(";[flow ");
		fprintf(out, "%s %.*s", waits, (int)strcspn(flow, "]"), flow);
	}
	fputs("\n\n", out);
}

bool init_agreed(const struct ctl *ctl, const char *path, const char *text)
{
	FILE *out = ctl->environment->out;

	show(out, text);
	fprintf(out, "Write this to %s? [Y/n] ", path);
	char *answer = read_line(ctl);
	bool agreed = answer && (!*answer || strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0);
	free(answer);
	return agreed;
}
