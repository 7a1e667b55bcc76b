// SPDX-License-Identifier: Apache-2.0

// Package web serves over HTTP what others show: listening, TLS, passwords
// and health. What it serves is handed to it.
package web
