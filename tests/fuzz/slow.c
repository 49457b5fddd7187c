/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What libFuzzer calls: one input to the target, and a limit on its processor time that grows with its size. A reader
 * that looks at everything again for each part of a message is a finding, as a crash is. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Of an instrumented build, which is ten times slower than what users have. An input is slow when it is so three times.
 */
enum { BASE_USEC = 30 * 1000, USEC_A_BYTE = 2, TRIES = 3 };

int fuzz_one(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int64_t spent_usec(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	int64_t limit = BASE_USEC + (int64_t)size * USEC_A_BYTE, usec = 0;

	for (int i = 0; i < TRIES; i++) {
		int64_t before = spent_usec();
		fuzz_one(bytes, size);
		usec = spent_usec() - before;
		if (usec <= limit)
			return 0;
	}
	fprintf(stderr, "slow: %zu bytes cost %lld us of processor time, the limit is %lld us\n", size, (long long)usec,
		(long long)limit);
	abort();
}
