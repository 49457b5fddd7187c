/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "init.h"
#include "output.h"
#include "config/policy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A first configuration: in audit mode, so that nothing is denied before it was seen what would be. */

/* The first one: address, resolvers, time servers, members of ADM, each of the latter three in a comment where it was
 * not given. */
static const char beginning[] =
	"; The configuration of spefw, see spefw.ini(5).\n"
	"; After a change: spefwctl check, and then spefwctl reload.\n"
	"\n"
	"[server]\n"
	"address      = %s\n"
	"%sresolvers    = %s\n"
	"%stime_servers = %s\n"
	"\n"
	"[gateway]\n"
	"; audit counts and logs what would be denied, and denies nothing. When spefwctl drops\n"
	"; counts no more denials than there should be: enforce.\n"
	"mode         = audit\n"
	"\n"
	"[role ADM]\n"
	"%smembers      = %s\n"
	"\n"
	"; The server asks for its license every day: where it gets no answer, status tells.\n"
	"[flow license-out]\n"
	"expect       = 24h\n";

/* What the vendor's table takes for granted. Each is a whole section, ready to be used: the addresses are samples. */
/* clang-format off */
static const char samples[] =
	"\n"
	"; What a Windows server may need beside the vendor's flows. Take the semicolons away\n"
	"; where it does, and put the right addresses in.\n"
	"\n"
	"; Remote desktop\n"
	";[flow rdp-in]\n"
	";from     = ADM\n"
	";to       = SERVER\n"
	";protocol = tcp\n"
	";port     = 3389\n"
	"\n"
	"; Windows domain: the addresses of its controllers. Kerberos is 88, and 464 for passwords;\n"
	"; it needs a clock that is right, which is 123/udp of a controller.\n"
	";[role DC]\n"
	";members  = 192.0.2.10\n"
	";[flow domain-tcp]\n"
	";from     = SERVER\n"
	";to       = DC\n"
	";protocol = tcp\n"
	";port     = 53 88 135 389 445 464 636 3268-3269 49152-65535\n"
	";[flow domain-udp]\n"
	";from     = SERVER\n"
	";to       = DC\n"
	";protocol = udp\n"
	";port     = 53 88 123 389 464\n"
	"\n"
	"; Windows updates\n"
	";[flow updates-out]\n"
	";from     = SERVER\n"
	";to       = *.windowsupdate.com *.update.microsoft.com *.delivery.mp.microsoft.com\n"
	";protocol = tcp\n"
	";port     = 80 443\n"
	"\n"
	"; Certificates by ACME (Let's Encrypt): the authority looks at the server from anywhere\n"
	";[flow acme-in]\n"
	";from     = ANY\n"
	";to       = SERVER\n"
	";protocol = tcp\n"
	";port     = 80\n";
/* clang-format on */

char *init_text(const struct ctl *ctl)
{
	const char *const *values = ctl->values;
	const char *resolvers = values[OPTION_RESOLVERS], *time = values[OPTION_TIME], *adm = values[OPTION_ADM];
	char *text = NULL;
	size_t length;

	FILE *out = open_memstream(&text, &length);
	if (!out)
		return NULL;
	fprintf(out, beginning, values[OPTION_SERVER], resolvers ? "" : ";", resolvers ? resolvers : "192.0.2.53",
		time ? "" : ";", time ? time : "192.0.2.1", adm ? "" : ";", adm ? adm : "192.0.2.0/24");
	fputs(samples, out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* What the caller wrote is judged before it gets its name. */
static int judge(struct ctl *ctl, const char *path)
{
	struct policy_file file;
	struct diags diags = { 0 };

	int r = ctl_read_policy(path, &file, &diags);
	for (size_t i = 0; i < diags.count; i++)
		if (r < 0 ? diags.items[i].severity == DIAG_ERROR : true)
			ctl_error(ctl, "%s", diags.items[i].text);
	if (r == 0)
		policy_file_free(&file);
	diags_free(&diags);
	return r;
}

/* By errno. */
static int cant_write(const struct ctl *ctl, const char *path)
{
	if (errno == EACCES || errno == EPERM)
		return ctl_denied(ctl, NULL);
	ctl_error(ctl, "can't write %s: %m", path);
	return EXIT_FAILED;
}

/* Before anybody is asked, or anything written. */
static int refuse_existing(const struct ctl *ctl, const char *path)
{
	if (access(path, F_OK) < 0)
		return EXIT_DONE;
	ctl_error(ctl, "%s is there already: edit it, or write another with -c FILE", path);
	return EXIT_FAILED;
}

/* A name that exists already is never overwritten: link(2) refuses. */
static int give_name(struct ctl *ctl, const char *temporary, const char *path)
{
	if (link(temporary, path) == 0)
		return EXIT_DONE;
	return errno == EEXIST ? refuse_existing(ctl, path) : cant_write(ctl, path);
}

static int write_file(struct ctl *ctl, const char *path, const char *text)
{
	char temporary[PATH_MAX];

	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary)) {
		ctl_error(ctl, "%s: the path is too long", path);
		return EXIT_FAILED;
	}
	int fd = mkostemp(temporary, O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file)
		return cant_write(ctl, path);
	/* The daemon reads it as another user; nothing in it is a secret. */
	bool written = fputs(text, file) >= 0 && fflush(file) == 0 && fsync(fd) == 0 && fchmod(fd, 0644) == 0;
	int status = written ? EXIT_DONE : EXIT_FAILED;
	if (status != EXIT_DONE)
		ctl_error(ctl, "can't write %s: %m", path);
	fclose(file);
	if (status == EXIT_DONE && judge(ctl, temporary) < 0)
		status = EXIT_FAILED;
	if (status == EXIT_DONE)
		status = give_name(ctl, temporary, path);
	unlink(temporary);
	return status;
}

bool init_is_list(const char *value)
{
	for (const char *at = value; *at; at++)
		if ((unsigned char)*at < ' ' || strchr(";#[]=", *at))
			return false;
	return value[strspn(value, " ,")] != '\0';
}

static int write_agreed(struct ctl *ctl, const char *path, bool asked)
{
	int status = EXIT_FAILED;

	char *text = init_text(ctl);
	if (!text)
		ctl_error(ctl, "out of memory");
	else if (asked && !init_agreed(ctl, path, text))
		ctl_error(ctl, "nothing is written");
	else
		status = write_file(ctl, path, text);
	free(text);
	if (status == EXIT_DONE)
		ctl->output->init(ctl, path);
	return status;
}

int verb_init(struct ctl *ctl)
{
	const char *const *values = ctl->values, *path = ctl_value(ctl, OPTION_CONFIG);
	char *answers[OPTIONS] = { 0 };
	bool asks = !values[OPTION_SERVER] && init_can_ask(ctl);

	for (int i = OPTION_SERVER; i <= OPTION_TIME; i++)
		if (values[i] && !init_is_list(values[i])) {
			ctl_error(ctl, "--%s takes addresses and networks, separated by commas", option_kinds[i].name);
			return EXIT_USAGE;
		}
	if (!values[OPTION_SERVER] && !asks) {
		ctl_error(ctl, "which server? spefwctl init --server ADDRESS --adm NETWORK --resolvers ADDRESS");
		return EXIT_USAGE;
	}
	int status = refuse_existing(ctl, path);
	if (status == EXIT_DONE && asks)
		status = init_ask(ctl, answers);
	if (status == EXIT_DONE)
		status = write_agreed(ctl, path, asks);
	for (int i = 0; i < OPTIONS; i++)
		free(answers[i]);
	return status;
}
