// The API to read: ReDoc on this server's own description.

/* global Redoc */
Redoc.init('/api/openapi.json', { disableSearch: true, hideDownloadButton: false }, document.getElementById('api'));
