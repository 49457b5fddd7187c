/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of failing.h: what the test itself allocates never fails. */
#undef free
#undef realloc
#undef calloc
#undef strdup
