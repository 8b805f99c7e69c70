/* A small JSON reader for scenario files: a file becomes a tree of values, and nonsense ends the process with a message.
 *
 * Strings may hold \" \\ \/ \n \t and no \u; numbers are doubles. The tree is never freed: it lives as long as its process.
 */
#ifndef JSON_H
#define JSON_H

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_TEXT, JSON_LIST, JSON_OBJECT } JsonKind;
typedef struct Json {
    JsonKind kind;
    double number;
    char *text;         /* of a text */
    char *key;          /* of a member of an object */
    struct Json *first; /* of a list or an object */
    struct Json *next;  /* in the same list or object */
    unsigned calls;     /* free for whoever reads the tree */
} Json;

typedef struct { const char *name, *begin, *at; } JsonReader;

static void json_fail(const JsonReader *reader, const char *expected) {
    int line = 1;
    for (const char *c = reader->begin; c < reader->at; c++) line += *c == '\n';
    fprintf(stderr, "%s, line %d: %s expected at: %.20s\n", reader->name, line, expected, reader->at);
    abort();
}

static char json_peek(JsonReader *reader) {
    while (isspace((unsigned char)*reader->at)) reader->at++;
    return *reader->at;
}

static int json_skip(JsonReader *reader, char wanted) {
    if (json_peek(reader) != wanted) return 0;
    reader->at++;
    return 1;
}

static char *json_string(JsonReader *reader) {
    if (!json_skip(reader, '"')) json_fail(reader, "a string");
    char *out = malloc(strlen(reader->at) + 1), *end = out;
    for (; *reader->at != '"'; reader->at++) {
        if (!*reader->at) json_fail(reader, "the end of a string");
        if (*reader->at != '\\') { *end++ = *reader->at; continue; }
        const char escape = *++reader->at;
        if (!escape || !strchr("\"\\/nt", escape)) json_fail(reader, "one of \\\" \\\\ \\/ \\n \\t");
        *end++ = escape == 'n' ? '\n' : escape == 't' ? '\t' : escape;
    }
    reader->at++;
    *end = 0;
    return out;
}

static Json *json_value(JsonReader *reader);

static Json *json_members(JsonReader *reader, int object) {
    const char close = object ? '}' : ']';
    Json *first = NULL, **slot = &first;
    if (json_skip(reader, close)) return NULL;
    do {
        char *key = object ? json_string(reader) : NULL;
        if (object && !json_skip(reader, ':')) json_fail(reader, "':'");
        *slot = json_value(reader);
        (*slot)->key = key;
        slot = &(*slot)->next;
    } while (json_skip(reader, ','));
    if (!json_skip(reader, close)) json_fail(reader, object ? "',' or '}'" : "',' or ']'");
    return first;
}

static int json_word(JsonReader *reader, const char *word) {
    if (strncmp(reader->at, word, strlen(word))) return 0;
    reader->at += strlen(word);
    return 1;
}

static Json *json_value(JsonReader *reader) {
    Json *value = calloc(1, sizeof *value);
    char *end;
    json_peek(reader);
    if (*reader->at == '"') { value->kind = JSON_TEXT; value->text = json_string(reader); }
    else if (json_skip(reader, '{')) { value->kind = JSON_OBJECT; value->first = json_members(reader, 1); }
    else if (json_skip(reader, '[')) { value->kind = JSON_LIST; value->first = json_members(reader, 0); }
    else if (json_word(reader, "true")) value->kind = JSON_TRUE;
    else if (json_word(reader, "false")) value->kind = JSON_FALSE;
    else if (json_word(reader, "null")) value->kind = JSON_NULL;
    else {
        value->kind = JSON_NUMBER;
        value->number = strtod(reader->at, &end);
        if (end == reader->at) json_fail(reader, "a value");
        reader->at = end;
    }
    return value;
}

/* The tree of the file at `path`; an empty object where `path` is NULL. */
static Json *json_read(const char *path) {
    FILE *file = path ? fopen(path, "rb") : NULL;
    if (path && !file) { perror(path); abort(); }
    char *text = calloc(1, 1 << 20);
    size_t size = file ? fread(text, 1, (1 << 20) - 1, file) : 0;
    if (file) fclose(file);
    JsonReader reader = { path, text, size ? text : "{}" };
    Json *tree = json_value(&reader);
    if (json_peek(&reader)) json_fail(&reader, "the end of the file");
    return tree;
}

static Json *json_get(const Json *object, const char *key) {
    Json *member = object && object->kind == JSON_OBJECT ? object->first : NULL;
    while (member && strcmp(member->key, key)) member = member->next;
    return member;
}

static Json *json_at(const Json *list, unsigned index) {
    Json *item = list && list->kind == JSON_LIST ? list->first : NULL;
    while (item && index--) item = item->next;
    return item;
}

static unsigned json_length(const Json *list) {
    unsigned length = 0;
    for (Json *item = list ? list->first : NULL; item; item = item->next) length++;
    return length;
}

#endif
