/** The API to try out: Swagger UI on this server's own description. */

/* global SwaggerUIBundle */
SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  // No validator on someone else's server.
  validatorUrl: null,
});
