/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_REPORT_PROOF_H
#define SPEFW_REPORT_PROOF_H

#include "gateway/gateway.h"

#include <jansson.h>

/* Proof of the interface: of a finding. NULL without memory. */
json_t *report_proof(const struct seal_finding *finding, uint64_t generation);

#endif
