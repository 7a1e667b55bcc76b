// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"encoding/binary"
	"hash/crc32"
)

// piece is a part of a gzip member (RFC 1952) that was compressed by itself.
// The extra field of the member says where its pieces are.
type piece struct {
	Digest [16]byte // of the lines that are in it; zero for what stands between texts
	CRC    uint32   // of what it unpacks to
	Size   uint32   // of that
	Packed uint32   // bytes that it takes
}

// packedPiece is a piece with its bytes.
type packedPiece struct {
	piece
	bytes []byte
}

// The extra field has one subfield: two letters, a length, and the pieces in
// their order, as many of them as there is room for.
const (
	gzipHeader  = 10
	extraHeader = 4
	extraID     = "WP"
	mostExtra   = 1<<16 - 1 - extraHeader
)

var pieceSize = binary.Size(piece{})

// lastBlock is an empty one that ends a compressed text.
var lastBlock = []byte{1, 0, 0, 0xff, 0xff}

// member is the gzip member of some pieces, which lie side by side in body.
func member(pieces []piece, body []byte) []byte {
	listed := pieces[:min(len(pieces), mostExtra/pieceSize)]
	size := len(listed) * pieceSize
	out := make([]byte, 0, gzipHeader+2+extraHeader+size+len(body)+len(lastBlock)+8)
	out = append(out, 0x1f, 0x8b, 8, 1<<2, 0, 0, 0, 0, 0, 255)
	out = binary.LittleEndian.AppendUint16(out, uint16(extraHeader+size))
	out = binary.LittleEndian.AppendUint16(append(out, extraID...), uint16(size))
	out, _ = binary.Append(out, binary.LittleEndian, listed) // they have a fixed size
	out = append(append(out, body...), lastBlock...)
	var crc, total uint32
	for _, one := range pieces {
		crc, total = joinedCRC(crc, one.CRC, one.Size), total+one.Size
	}
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(out, crc), total)
}

// piecesOf finds the pieces of a member by what is in them; none in one that
// says nothing of them.
func piecesOf(member []byte) map[[16]byte]packedPiece {
	found := map[[16]byte]packedPiece{}
	if len(member) < gzipHeader+2+extraHeader || member[3] != 1<<2 || string(member[gzipHeader+2:][:2]) != extraID {
		return found
	}
	list := member[gzipHeader+2+extraHeader:]
	size := int(binary.LittleEndian.Uint16(member[gzipHeader+4:]))
	if size > len(list) {
		return found
	}
	body := list[size:]
	for list = list[:size]; len(list) >= pieceSize; list = list[pieceSize:] {
		one := packedPiece{}
		if _, err := binary.Decode(list, binary.LittleEndian, &one.piece); err != nil || int(one.Packed) > len(body) {
			break
		}
		one.bytes, body = body[:one.Packed], body[one.Packed:]
		if one.Digest != [16]byte{} {
			found[one.Digest] = one
		}
	}
	return found
}

// joinedCRC is the CRC-32 of two texts, one behind the other, of which the
// second has so many bytes.
func joinedCRC(first, second, size uint32) uint32 {
	shift := uint32(1 << 31)       // x to the power of 0
	square := uint32(1 << 31 >> 8) // x to the power of 8, for the bits of a byte
	for ; size > 0; size >>= 1 {
		if size&1 == 1 {
			shift = product(shift, square)
		}
		square = product(square, square)
	}
	return product(shift, first) ^ second
}

// product multiplies polynomials modulo that of CRC-32, the highest bit being
// the coefficient of the power 0.
func product(a, b uint32) (p uint32) {
	for ; a != 0; a <<= 1 {
		if a&(1<<31) != 0 {
			p ^= b
		}
		b = b>>1 ^ crc32.IEEE&-(b&1)
	}
	return p
}
