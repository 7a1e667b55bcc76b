// SPDX-License-Identifier: Apache-2.0

// Package web serves over HTTP: listening, TLS, passwords and health, the page
// for people, and what others show. What it serves is handed to it.
package web
