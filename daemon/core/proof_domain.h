/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_PROOF_DOMAIN_H
#define SPEFW_PROOF_DOMAIN_H

/* All values that a field may have, in classes: values that no predicate tells apart are one. Predicates are given as
 * spans of values; when all are known, domain_close() finds the classes by one sweep over their ends. */

#include "proof_values.h"

/* A value as a number of up to 128 bits. */
struct key {
	uint64_t high, low;
};

struct span {
	struct key first, last; /* inclusive */
};

struct domain {
	size_t size;    /* bytes of a value, at most 16 */
	struct key max; /* the last value */
	struct {
		struct predicate {
			size_t at, count;
			uint64_t hash;
			uint32_t values; /* once closed: the classes in it */
		} * items;
		size_t count, capacity;
	} predicates;
	struct {
		struct span *items;
		size_t count, capacity;
	} spans;
	uint32_t *buckets;
	size_t bucket_count;
	/* Once closed: */
	struct {
		struct cut_point {
			struct key first;
			uint32_t class;
		} * items; /* ascending; each lasts until the next */
		size_t count, capacity;
	} points;
	uint32_t class_count;
	uint32_t *example; /* of each class, an index into points */
	uint32_t all;      /* the set of all classes */
};

void domain_begin(struct domain *domain, size_t size, struct key max);
void domain_free(struct domain *domain);

/* Spans ascending and disjoint; what is beyond the domain does not count. *ret: the predicate's index; one with the
 * same spans is the same predicate. 0 or -ENOMEM. */
int domain_add(struct domain *domain, const struct span *spans, size_t count, uint32_t *ret);
/* 0 or -ENOMEM. */
int domain_close(struct domain *domain, struct values_store *store);

/* Once closed. */
uint32_t domain_class(const struct domain *domain, struct key key);
struct span domain_span(const struct domain *domain, size_t point); /* from this one of the points to the next */
struct key domain_example(const struct domain *domain, uint32_t class);

/* Bytes are in network order. */
struct key key_of(const uint8_t *bytes, size_t size);
void key_bytes(struct key key, size_t size, uint8_t *ret);
int key_compare(struct key a, struct key b);
struct key key_next(struct key key);

#endif
