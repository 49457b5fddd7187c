/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor/doctor.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOBODY = 65534 };

/* Capabilities beyond those that this kernel knows can't be dropped. */
static bool drop_bounding_set(void)
{
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			return false;
	return true;
}

static bool become_nobody(void)
{
	const struct passwd *nobody = getpwnam("nobody");
	uid_t uid = nobody ? nobody->pw_uid : NOBODY;
	gid_t gid = nobody ? nobody->pw_gid : NOBODY;

	return setgroups(0, NULL) == 0 && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0 &&
	       setuid(0) < 0 && geteuid() != 0;
}

int doctor_drop(bool *ret_nobody)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	static const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
	struct __user_cap_data_struct left[_LINUX_CAPABILITY_U32S_3];

	/* A container may keep us from some of it; without these two nothing goes on. */
	bool all = prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0) == 0;
	all = drop_bounding_set() && all;
	*ret_nobody = become_nobody() && all;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &header, none) < 0 ||
	    syscall(SYS_capget, &header, left) < 0)
		return -errno;
	/* Whoever else is nobody can't trace us. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return memcmp(left, none, sizeof(none)) == 0 ? 0 : -EPERM;
}
