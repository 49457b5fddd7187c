/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_nflog.h"
#include "make.h"

int fake_nflog_error;
size_t fake_nflogs, fake_nflog_tries;
uint16_t fake_nflog_group;

void fake_nflog_reset(void)
{
	assert_int_equal(fake_nflogs, 0);
	fake_nflog_error = 0;
	fake_nflog_tries = 0;
}

int nflog_open(uint16_t group)
{
	fake_nflog_tries++;
	if (fake_nflog_error)
		return fake_nflog_error;
	fake_nflog_group = group;
	fake_nflogs++;
	return FAKE_NFLOG_FD + group;
}

void nflog_close(int fd, uint16_t group)
{
	assert_int_equal(fd, FAKE_NFLOG_FD + group);
	assert_true(fake_nflogs > 0);
	fake_nflogs--;
}
