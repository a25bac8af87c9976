/* Passes over the characters of a text and their pairs that Python is slow at. The modules heads
 * and spans of judge.embedded, and pairs and signs of guard.views, say what each gives, and hold
 * the same in Python. All sums are of whole numbers, so that both give the same to the last bit.
 * Nothing is kept between two calls. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { HEADS = 5, BUCKETS = 1 << 16, ROW = 8, IDF = HEADS, NUMBERS = 4 * HEADS, FEW = 512 };

/* One or two characters as the heads see them: their bucket, and what it adds to each sum. */
typedef struct {
    int16_t weight[HEADS]; /* each head's, times idf: both are 8 bits */
    uint16_t bucket, square;
} Gram;

/* No bucket counts twice, so that no sum is larger than BUCKETS * 255 * 255, which is 32 bits. */
typedef struct {
    uint32_t seen[BUCKETS / 32];
    uint16_t first[FEW]; /* the first buckets that were seen */
    uint32_t count;      /* of all that were */
    int32_t sum[HEADS];
    uint32_t square;
} Sums;

static void
clear(Sums *sums)
{
    if (sums->count > FEW)
        memset(sums->seen, 0, sizeof sums->seen);
    else
        for (uint32_t i = 0; i < sums->count; i++)
            sums->seen[sums->first[i] >> 5] = 0;
    memset(sums->sum, 0, sizeof sums->sum);
    sums->count = sums->square = 0;
}

static void
add(Sums *sums, const Gram *gram)
{
    uint32_t bucket = gram->bucket, bit = UINT32_C(1) << (bucket & 31);
    if (sums->seen[bucket >> 5] & bit)
        return;
    sums->seen[bucket >> 5] |= bit;
    if (sums->count < FEW)
        sums->first[sums->count] = gram->bucket;
    sums->count++;
    for (int head = 0; head < HEADS; head++)
        sums->sum[head] += gram->weight[head];
    sums->square += gram->square;
}

static Gram
gram_of(const int8_t *rows, uint32_t hash) /* rows (BUCKETS, ROW): heads' weights, then the idf */
{
    const int8_t *row = rows + (size_t)(hash >> 16) * ROW;
    int idf = (uint8_t)row[IDF];
    Gram gram = {.bucket = (uint16_t)(hash >> 16), .square = (uint16_t)(idf * idf)};
    for (int head = 0; head < HEADS; head++)
        gram.weight[head] = (int16_t)(row[head] * idf);
    return gram;
}

static uint32_t
code_of(Py_UCS4 character)
{
    return character - '0' < 10u ? '0' : character == '\n' ? ' ' : character;
}

static uint32_t
state_of(uint32_t code)
{
    uint32_t state = code * UINT32_C(2654435761);
    return state ^ state >> 15;
}

static Gram
single(const int8_t *rows, uint32_t state)
{
    return gram_of(rows, state * UINT32_C(3266489917));
}

static Gram
pair(const int8_t *rows, uint32_t before, uint32_t code)
{
    uint32_t both = before * UINT32_C(2246822519) + code * UINT32_C(3266489917);
    return gram_of(rows, (both ^ both >> 13) * UINT32_C(2654435761));
}

/* A stretch of a text: of each character but the first its pair, and of each itself. */
typedef struct {
    const int8_t *rows;
    PyObject *text;
    Py_ssize_t start, end;
    Gram *grams;
    Gram begins, ends; /* what stands for both ends of a span */
} Stretch;

static void
read_grams(Stretch *stretch)
{
    int kind = PyUnicode_KIND(stretch->text);
    const void *text = PyUnicode_DATA(stretch->text);
    uint32_t before = 0;
    Gram *gram = stretch->grams;
    for (Py_ssize_t at = stretch->start; at < stretch->end; at++) {
        uint32_t code = code_of(PyUnicode_READ(kind, text, at));
        *gram++ = pair(stretch->rows, before, code);
        before = state_of(code);
        *gram++ = single(stretch->rows, before);
    }
    stretch->begins = single(stretch->rows, state_of('^'));
    stretch->ends = single(stretch->rows, state_of('$'));
}

/* The code of a character of the text. */
static uint32_t
code_at(const Stretch *stretch, Py_ssize_t at)
{
    return code_of(PyUnicode_READ_CHAR(stretch->text, at));
}

static void
read_span(Sums *sums, const Stretch *stretch, Py_ssize_t start, Py_ssize_t end)
{
    const int8_t *rows = stretch->rows;
    const Gram *grams = stretch->grams + 2 * (start - stretch->start);
    clear(sums);
    add(sums, &stretch->begins);
    add(sums, &stretch->ends);
    Gram first = pair(rows, state_of('^'), start < end ? code_at(stretch, start) : '$');
    add(sums, &first);
    if (start == end)
        return;
    Gram last = pair(rows, state_of(code_at(stretch, end - 1)), '$');
    add(sums, &last);
    for (Py_ssize_t i = 1; i < 2 * (end - start); i++)
        add(sums, grams + i);
}

/* Logits from sums; whether one is at `least` or above once its cut and margin are taken off. */
static int
judge(const Sums *sums, const double *numbers, int piece, double least, double *logits)
{
    const double *scale = numbers, *bias = scale + HEADS, *cut = bias + HEADS;
    const double *margin = cut + HEADS;
    double norm = sums->square ? sqrt((double)sums->square) : 1.0;
    int reaches = 0;
    for (int head = 0; head < HEADS; head++) {
        volatile double value = (double)sums->sum[head] / norm; /* volatile: no fused steps */
        value = value * scale[head];
        value = value + bias[head];
        logits[head] = value;
        reaches |= value - cut[head] - (piece ? margin[head] : 0.0) >= least;
    }
    return reaches;
}

static PyObject *
found(Py_ssize_t number, const double *logits)
{
    PyObject *values = PyTuple_New(HEADS);
    for (int head = 0; values != NULL && head < HEADS; head++) {
        PyObject *value = PyFloat_FromDouble(logits[head]);
        if (value == NULL)
            Py_CLEAR(values);
        else
            PyTuple_SET_ITEM(values, head, value);
    }
    return values == NULL ? NULL : Py_BuildValue("nN", number, values);
}

/* Whether a span was read: (start, end, piece) between two places. */
static int
span_of(PyObject *given, Py_ssize_t from, Py_ssize_t to, Py_ssize_t *start, Py_ssize_t *end,
        int *piece)
{
    if (!PyTuple_Check(given) || PyTuple_GET_SIZE(given) != 3) {
        PyErr_SetString(PyExc_TypeError, "a span is a tuple of three");
        return 0;
    }
    *start = PyLong_AsSsize_t(PyTuple_GET_ITEM(given, 0));
    if (*start == -1 && PyErr_Occurred())
        return 0;
    *end = PyLong_AsSsize_t(PyTuple_GET_ITEM(given, 1));
    if (*end == -1 && PyErr_Occurred())
        return 0;
    *piece = PyObject_IsTrue(PyTuple_GET_ITEM(given, 2));
    if (*piece < 0)
        return 0;
    if (*start < from || *start > *end || *end > to) {
        PyErr_SetString(PyExc_ValueError, "a span lies outside the text");
        return 0;
    }
    return 1;
}

/* The stretch that holds all spans; whether it could be read. */
static int
read_stretch(PyObject *spans, Stretch *stretch)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(stretch->text), first = length, last = 0, start, end;
    int piece;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(spans); i++) {
        if (!span_of(PyList_GET_ITEM(spans, i), 0, length, &start, &end, &piece))
            return 0;
        first = start < first ? start : first;
        last = end > last ? end : last;
    }
    stretch->start = first < last ? first : last;
    stretch->end = last;
    stretch->grams = PyMem_New(Gram, 2 * (size_t)(last - stretch->start) + 1);
    if (stretch->grams == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    read_grams(stretch);
    return 1;
}

static PyObject *
reaching_in(PyObject *spans, const Stretch *stretch, const double *numbers, double least)
{
    PyObject *out = PyList_New(0);
    Py_ssize_t start, end;
    Sums sums = {.count = 0};
    double logits[HEADS];
    int piece;
    for (Py_ssize_t i = 0; out != NULL && i < PyList_GET_SIZE(spans); i++) {
        PyObject *span = PyList_GET_ITEM(spans, i);
        if (!span_of(span, stretch->start, stretch->end, &start, &end, &piece)) {
            Py_CLEAR(out);
            break;
        }
        read_span(&sums, stretch, start, end);
        if (!judge(&sums, numbers, piece, least, logits))
            continue;
        PyObject *one = found(i, logits);
        if (one == NULL || PyList_Append(out, one) < 0)
            Py_CLEAR(out);
        Py_XDECREF(one);
    }
    return out;
}

static PyObject *
reaching(PyObject *module, PyObject *args)
{
    PyObject *spans, *out = NULL;
    Py_buffer rows, numbers;
    Stretch stretch = {0};
    double least;
    (void)module;
    if (!PyArg_ParseTuple(args, "UO!y*y*d", &stretch.text, &PyList_Type, &spans, &rows, &numbers,
                          &least))
        return NULL;
    stretch.rows = rows.buf;
    if (rows.len != (Py_ssize_t)BUCKETS * ROW
        || numbers.len != NUMBERS * (Py_ssize_t)sizeof(double))
        PyErr_SetString(PyExc_ValueError, "the heads have another size");
    else if (read_stretch(spans, &stretch))
        out = reaching_in(spans, &stretch, numbers.buf, least);
    PyMem_Free(stretch.grams);
    PyBuffer_Release(&rows);
    PyBuffer_Release(&numbers);
    return out;
}

/* A set of pairs: a bit for each of a power of two of hashes, the first in a byte's highest bit. */
typedef struct {
    const uint8_t *bits;
    int shift;
} Set;

static int
read_set(const Py_buffer *given, Set *set)
{
    int width = 3;
    while (width < 32 && (Py_ssize_t)(UINT64_C(1) << width) < given->len * 8)
        width++;
    if (given->len * 8 != (Py_ssize_t)(UINT64_C(1) << width)) {
        PyErr_SetString(PyExc_ValueError, "a set has a power of two of bits");
        return 0;
    }
    set->bits = given->buf;
    set->shift = 32 - width;
    return 1;
}

static int
holds(Set set, Py_UCS4 first, Py_UCS4 second)
{
    uint32_t hash = first * UINT32_C(2654435761) ^ second * UINT32_C(2246822519);
    uint32_t place = hash >> set.shift;
    return set.bits[place >> 3] >> (7 - (place & 7)) & 1;
}

static int
append_number(PyObject *list, Py_ssize_t number)
{
    PyObject *value = PyLong_FromSsize_t(number);
    int status = value == NULL ? -1 : PyList_Append(list, value);
    Py_XDECREF(value);
    return status;
}

static PyObject *
places(PyObject *module, PyObject *args)
{
    PyObject *text, *out = NULL;
    Py_buffer given;
    Set set;
    (void)module;
    if (!PyArg_ParseTuple(args, "Uy*", &text, &given))
        return NULL;
    if (read_set(&given, &set))
        out = PyList_New(0);
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    for (Py_ssize_t at = 0; out != NULL && at + 1 < PyUnicode_GET_LENGTH(text); at++)
        if (holds(set, PyUnicode_READ(kind, data, at), PyUnicode_READ(kind, data, at + 1))
            && append_number(out, at) < 0)
            Py_CLEAR(out);
    PyBuffer_Release(&given);
    return out;
}

static int
is_chinese(Py_UCS4 character)
{
    return character - 0x3400 < 0xA000 - 0x3400;
}

/* Whether enough of a span's Chinese pairs are strange to a set. */
static int
is_strange(PyObject *text, Set usual, Py_ssize_t start, Py_ssize_t end, int least, double share)
{
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t pairs = 0, strange = 0;
    for (Py_ssize_t at = start; at + 1 < end; at++) {
        Py_UCS4 first = PyUnicode_READ(kind, data, at);
        Py_UCS4 second = PyUnicode_READ(kind, data, at + 1);
        if (is_chinese(first) && is_chinese(second)) {
            pairs++;
            strange += !holds(usual, first, second);
        }
    }
    return strange >= least && (double)strange >= share * (double)pairs;
}

static PyObject *
strange(PyObject *module, PyObject *args)
{
    PyObject *text, *spans, *out = NULL;
    Py_buffer given;
    Set usual;
    int least;
    double share, piece_share;
    (void)module;
    if (!PyArg_ParseTuple(args, "UO!y*idd", &text, &PyList_Type, &spans, &given, &least, &share,
                          &piece_share))
        return NULL;
    if (read_set(&given, &usual))
        out = PyList_New(0);
    for (Py_ssize_t i = 0; out != NULL && i < PyList_GET_SIZE(spans); i++) {
        Py_ssize_t start, end;
        int piece;
        PyObject *span = PyList_GET_ITEM(spans, i);
        if (!span_of(span, 0, PyUnicode_GET_LENGTH(text), &start, &end, &piece)
            || (is_strange(text, usual, start, end, least, piece ? piece_share : share)
                && append_number(out, i) < 0))
            Py_CLEAR(out);
    }
    PyBuffer_Release(&given);
    return out;
}

static PyObject *
alternating(PyObject *module, PyObject *text)
{
    (void)module;
    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "a text is a str");
        return NULL;
    }
    PyObject *out = PyList_New(0);
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t length = PyUnicode_GET_LENGTH(text), run[2] = {0, 0}; /* at even and odd places */
    for (Py_ssize_t at = 2; out != NULL && at < length; at++) {
        int same = PyUnicode_READ(kind, data, at) == PyUnicode_READ(kind, data, at - 2);
        run[at & 1] = same ? run[at & 1] + 1 : 0;
        if (run[at & 1] >= 4 && append_number(out, at - 8) < 0)
            Py_CLEAR(out);
    }
    return out;
}

/* The classes of characters, and the signs in a text: see guard.views.signs. */
enum { IS_MASKED = 1, IS_BASE64 = 16, IS_DIGIT = 32, IS_NUMERAL = 64, IS_MARK = 128 };
enum { PLAIN_CLASSES = 1 | 2 | 4 | 8, BASE64 = 16, HEX = 32, COUNTED = 64, NUMERALS = 128 };
enum { PARTED = 256, LINES = 512, TAG = 1024, ALTERNATES = 2048 };
enum { LETTERS = 16, COUNTERS = 5, DIGITS = 11, ALTERNATIONS = 4 };

static int
class_of(const uint8_t *classes, Py_UCS4 character)
{
    if (character < 0x10000)
        return classes[character];
    return character >> 12 == 0x1f ? IS_MARK : IS_MARK | IS_MASKED; /* emoji are no rare letters */
}

static int
is_part(Py_UCS4 character, int class)
{
    return is_chinese(character) && !(class & IS_MARK);
}

static int
signs_in(int kind, const void *text, Py_ssize_t length, const uint8_t *classes)
{
    int found = 0, letters = 0, digits = 0, numerals = 0;
    int parts = -1; /* Chinese characters since a mark; -1 where others stand there */
    int runs[2] = {0, 0}; /* of a character at even and at odd places */
    Py_UCS4 before = 0, second = 0;
    for (Py_ssize_t at = 0; at < length; at++) {
        Py_UCS4 character = PyUnicode_READ(kind, text, at);
        int class = class_of(classes, character);
        found |= class & PLAIN_CLASSES;
        letters = class & IS_BASE64 ? letters + 1 : 0;
        found |= letters == LETTERS ? BASE64 : 0;
        digits += (class & IS_DIGIT) != 0;
        numerals += (class & IS_NUMERAL) != 0;
        if (class & IS_MARK) {
            found |= parts == 1 || parts == 2 ? PARTED : 0;
            parts = 0;
        } else if (!is_part(character, class))
            parts = -1;
        else if (parts >= 0 && parts < 3)
            parts++;
        found |= character == '\n' ? LINES : character == '<' ? TAG : 0;
        if (character - '3' < 7u && (before | 0x20) == 'e')
            found |= HEX;
        runs[at & 1] = at > 1 && character == second ? runs[at & 1] + 1 : 0;
        found |= runs[at & 1] == ALTERNATIONS ? ALTERNATES : 0;
        second = before;
        before = character;
    }
    return found | (digits >= COUNTERS ? COUNTED : 0) | (numerals >= DIGITS ? NUMERALS : 0);
}

static PyObject *
signs(PyObject *module, PyObject *args)
{
    PyObject *text;
    Py_buffer classes;
    int found = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "Uy*", &text, &classes))
        return NULL;
    int fits = classes.len == 0x10000;
    if (fits)
        found = signs_in(PyUnicode_KIND(text), PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text),
                         classes.buf);
    else
        PyErr_SetString(PyExc_ValueError, "a class for each of 65,536 characters");
    PyBuffer_Release(&classes);
    return fits ? PyLong_FromLong(found) : NULL;
}

/* What `pieces` gives, and where: see judge.embedded.spans for what the numbers mean. */
typedef struct {
    PyObject *text, *out;
    Py_ssize_t least, most;
} Pieces;

static int
is_end(Py_UCS4 character)
{
    return character == 0x3002 || character == '!' || character == '?' || character == ';'
           || character == '\n';
}

static int
is_comma(Py_UCS4 character)
{
    return character == ',' || character == 0x3001 || character == ':';
}

/* From `at` on the next run of characters that none of the marks parts; whether there is one. */
static int
run_in(const Pieces *pieces, int (*parts)(Py_UCS4), Py_ssize_t end, Py_ssize_t at, Py_ssize_t *run)
{
    int kind = PyUnicode_KIND(pieces->text);
    const void *data = PyUnicode_DATA(pieces->text);
    while (at < end && parts(PyUnicode_READ(kind, data, at)))
        at++;
    run[0] = at;
    while (at < end && !parts(PyUnicode_READ(kind, data, at)))
        at++;
    run[1] = at;
    return run[0] < run[1];
}

/* 0, or -1 with an error set. */
static int
append_piece(Pieces *pieces, Py_ssize_t start, Py_ssize_t end)
{
    PyObject *piece = Py_BuildValue("nnO", start, end, Py_True);
    int status = piece == NULL ? -1 : PyList_Append(pieces->out, piece);
    Py_XDECREF(piece);
    return status;
}

static int
append_if_fit(Pieces *pieces, Py_ssize_t start, Py_ssize_t end)
{
    int fits = pieces->least <= end - start && end - start <= pieces->most;
    return fits ? append_piece(pieces, start, end) : 0;
}

/* A sentence and, where they are not all of it or it is too long, each two of its clauses. */
static int
append_sentence(Pieces *pieces, Py_ssize_t start, Py_ssize_t end)
{
    Py_ssize_t first[2], second[2], third[2];
    if (append_if_fit(pieces, start, end) < 0)
        return -1;
    if (!run_in(pieces, is_comma, end, start, first)
        || !run_in(pieces, is_comma, end, first[1], second))
        return 0;
    if (end - start <= pieces->most && !run_in(pieces, is_comma, end, second[1], third))
        return 0;
    do {
        if (append_if_fit(pieces, first[0], second[1]) < 0)
            return -1;
        memcpy(first, second, sizeof first);
    } while (run_in(pieces, is_comma, end, first[1], second));
    return 0;
}

static int
append_all(Pieces *pieces, Py_ssize_t width, Py_ssize_t step)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(pieces->text), run[2] = {0, 0};
    while (run_in(pieces, is_end, length, run[1], run))
        if (append_sentence(pieces, run[0], run[1]) < 0)
            return -1;
    if (length <= width)
        return 0;
    for (Py_ssize_t at = 0; at < length - width; at += step)
        if (append_piece(pieces, at, at + width) < 0)
            return -1;
    return append_piece(pieces, length - width, length);
}

static PyObject *
pieces(PyObject *module, PyObject *args)
{
    Pieces found = {0};
    Py_ssize_t width, step;
    (void)module;
    if (!PyArg_ParseTuple(args, "Unnnn", &found.text, &found.least, &found.most, &width, &step))
        return NULL;
    if (found.least < 1 || width < 1 || step < 1) {
        PyErr_SetString(PyExc_ValueError, "a piece has a length");
        return NULL;
    }
    found.out = PyList_New(0);
    if (found.out != NULL && append_all(&found, width, step) < 0)
        Py_CLEAR(found.out);
    return found.out;
}

static PyMethodDef methods[] = {
    {"reaching", reaching, METH_VARARGS, NULL},
    {"pieces", pieces, METH_VARARGS, NULL},
    {"places", places, METH_VARARGS, NULL},
    {"strange", strange, METH_VARARGS, NULL},
    {"signs", signs, METH_VARARGS, NULL},
    {"alternating", alternating, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

/* The one that judge.embedded.compiled asks for: another was left by another release. */
static int
begin(PyObject *module)
{
    return PyModule_AddIntConstant(module, "VERSION", 2);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, begin}, {0, NULL}};
static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_grams", .m_size = 0, .m_methods = methods, .m_slots = slots};

PyMODINIT_FUNC
PyInit__grams(void)
{
    return PyModuleDef_Init(&definition);
}
