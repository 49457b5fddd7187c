/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
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

static const char beginning[] =
	"; The configuration of spefw, see spefw.ini(5).\n"
	"; After a change: spefwctl check, and then spefwctl reload.\n"
	"\n"
	"[server]\n"
	"address      = %s\n"
	"%sresolvers    = %s\n"
	"\n"
	"[gateway]\n"
	"; audit counts and logs what would be denied, and denies nothing. When spefwctl drops\n"
	"; counts no more denials than there should be: enforce.\n"
	"mode         = audit\n"
	"\n"
	"[role ADM]\n"
	"%smembers      = %s\n";

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
	"; Windows domain: the addresses of its controllers\n"
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
	";port     = 80 443\n";
/* clang-format on */

static int write_text(const struct ctl *ctl, FILE *file)
{
	const char *resolvers = ctl->values[OPTION_RESOLVERS], *adm = ctl->values[OPTION_ADM];

	fprintf(file, beginning, ctl->values[OPTION_SERVER], resolvers ? "" : ";", resolvers ? resolvers : "192.0.2.53",
		adm ? "" : ";", adm ? adm : "192.0.2.0/24");
	fputs(samples, file);
	return ferror(file) || fflush(file) != 0 || fsync(fileno(file)) < 0 ? -errno : 0;
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

/* A name that exists already is never overwritten: link(2) refuses. */
static int give_name(struct ctl *ctl, const char *temporary, const char *path)
{
	if (link(temporary, path) == 0)
		return EXIT_DONE;
	if (errno == EEXIST)
		ctl_error(ctl, "%s is there already: edit it, or write another with -c FILE", path);
	else
		return cant_write(ctl, path);
	return EXIT_FAILED;
}

static int write_file(struct ctl *ctl, const char *path)
{
	char temporary[PATH_MAX];

	if (access(path, F_OK) == 0) {
		ctl_error(ctl, "%s is there already: edit it, or write another with -c FILE", path);
		return EXIT_FAILED;
	}
	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary)) {
		ctl_error(ctl, "%s: the path is too long", path);
		return EXIT_FAILED;
	}
	int fd = mkostemp(temporary, O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file)
		return cant_write(ctl, path);
	/* The daemon reads it as another user; nothing in it is a secret. */
	int status = write_text(ctl, file) == 0 && fchmod(fd, 0644) == 0 ? EXIT_DONE : EXIT_FAILED;
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

/* A value that would be more than that in the file. */
static bool is_plain(const char *value)
{
	if (!value)
		return true;
	for (const char *at = value; *at; at++)
		if ((unsigned char)*at < ' ' || strchr(";#[]=", *at))
			return false;
	return value[strspn(value, " ,")] != '\0';
}

int verb_init(struct ctl *ctl)
{
	const char *const *values = ctl->values, *path = ctl_value(ctl, OPTION_CONFIG);

	if (!is_plain(values[OPTION_SERVER]) || !is_plain(values[OPTION_ADM]) || !is_plain(values[OPTION_RESOLVERS])) {
		ctl_error(ctl, "--server, --adm and --resolvers take addresses and networks, separated by commas");
		return EXIT_USAGE;
	}
	if (!values[OPTION_SERVER]) {
		ctl_error(ctl, "which server? spefwctl init --server ADDRESS --adm NETWORK --resolvers ADDRESS");
		return EXIT_USAGE;
	}
	int status = write_file(ctl, path);
	if (status == EXIT_DONE)
		ctl->output->init(ctl, path);
	return status;
}
